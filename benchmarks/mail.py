"""The mail that is sent: an order confirmation of 2 KB of html with links, a little different each time."""

from __future__ import annotations

import base64
import json
import random
from email.message import EmailMessage
from pathlib import Path
from typing import Any

NUMBER = "@NUMBER@"  # wrk puts a running number in its place, so that no two emails are alike

NAMES = ["Ann Lee", "Bo Olsen", "Chloé Martin", "Dev Patel", "Eva Núñez", "Femi Ade", "Gus Berg", "Hana Sato"]
GOODS = ["Oak desk lamp", "Wool blanket", "Filter coffee, 1 kg", "Desk organiser", "Cotton towels, set of 4"]
STREETS = ["12 Mill Lane", "4 Harbour Street", "88 Station Road", "31 Orchard Way"]

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Order {order}</title></head>
<body style="margin:0;background:#f4f4f7;font-family:Arial,Helvetica,sans-serif;color:#333">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0"><tr><td align="center">
<table role="presentation" width="560" style="background:#fff;border-radius:6px;padding:24px">
<tr><td><h1 style="font-size:20px;margin:0 0 16px">Thank you, {name}</h1>
<p>We have received your order <a href="https://shop.example/orders/{order}?from=mail">{order}</a> and are packing it
now. You will hear from us again once it is on its way to <b>{street}</b>.</p></td></tr>
<tr><td><table width="100%" cellpadding="6" style="border-collapse:collapse;font-size:14px">
<tr style="background:#eee"><th align="left">Item</th><th>Quantity</th><th align="right">Price</th></tr>
{lines}
<tr><td colspan="2"><b>Total, delivery included</b></td><td align="right"><b>{total:.2f} €</b></td></tr>
</table></td></tr>
<tr><td><p style="text-align:center"><a href="https://shop.example/orders/{order}/track?token={token}"
style="background:#2b6cb0;color:#fff;padding:10px 18px;border-radius:4px;text-decoration:none">Follow your parcel</a>
</p><p>Something wrong? You can <a href="https://shop.example/orders/{order}/change">change the order</a> for the next
hour, read <a href="https://shop.example/help/delivery">how delivery works</a>, or simply reply to this mail.</p>
</td></tr><tr><td style="font-size:12px;color:#888;border-top:1px solid #eee">Example Shop, 1 Market Square.
<a href="https://shop.example/account/mail?token={token}">Choose which mails you get</a></td></tr>
</table></td></tr></table></body></html>
"""
LINE = (
    '<tr><td><a href="https://shop.example/goods/{number}">{goods}</a></td><td align="center">{count}</td>'
    '<td align="right">{price:.2f} €</td></tr>'
)


def html(number: int) -> str:
    """Some 2 KB, the same for the same number."""
    chance = random.Random(number)
    lines, total = [], 4.9
    for goods in chance.sample(GOODS, 2):
        count, price = chance.randint(1, 3), chance.randint(500, 9000) / 100
        total += count * price
        lines.append(LINE.format(number=chance.randint(1000, 9999), goods=goods, count=count, price=price))
    return PAGE.format(
        order=f"A-{100_000 + number}", name=chance.choice(NAMES), street=chance.choice(STREETS), total=total,
        lines="\n".join(lines), token=f"{chance.getrandbits(96):024x}",
    )  # fmt: skip


def body(number: int, *, recipients: int = 1, attachment: int = 0, unique: bool = True) -> dict[str, Any]:
    """One POST body. `unique` leaves room for wrk's running number; `attachment` in bytes."""
    mark = f".{NUMBER}" if unique else ""
    email: dict[str, Any] = {
        "subject": f"Your order A-{100_000 + number} is being packed",
        "recipients": [f"customer{number}.{n}{mark}@example.com" for n in range(recipients)],
        "html_content": html(number),
    }
    if attachment:
        data = random.Random(number).randbytes(attachment - attachment % 3)
        content = NUMBER + base64.b64encode(data).decode()[12:] if unique else base64.b64encode(data).decode()
        email["attachments"] = [
            {"filename": "invoice.pdf", "content_type": "application/pdf", "content": content}
        ]
    return email


def batch(number: int, size: int) -> dict[str, Any]:
    """One body of `size` emails, each with a recipient and a content of its own."""
    first = number * size
    return {
        "mode": "permissive",
        "emails": [body(one, unique=False) for one in range(first, first + size)],
    }


def write_bodies(path: Path, bodies: list[dict[str, Any]]) -> Path:
    """One JSON body a line, as post.lua reads them."""
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in bodies))
    return path


def as_message(email: dict[str, Any], sender: str) -> EmailMessage:
    """What a plain script makes of the same email."""
    message = EmailMessage()
    message["From"], message["To"] = sender, ", ".join(email["recipients"])
    message["Subject"] = email["subject"]
    message.set_content(email["html_content"], subtype="html")
    return message
