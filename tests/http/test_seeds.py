"""The requests of the first API document, as written there but for a key."""

from __future__ import annotations

from tests.support.app import Caller

CONFIG = {
    "name": "Gmail Account",
    "email_address": "your-email@gmail.com",
    "display_name": "Your Name",
    "smtp_host": "smtp.gmail.com",
    "smtp_port": 587,
    "username": "your-email@gmail.com",
    "password": "your-password-or-app-password",
    "use_tls": True,
    "daily_limit": 500,
    "hourly_limit": 50,
}
EMAIL = {
    "subject": "Test Email",
    "recipients": ["recipient1@example.com", "recipient2@example.com"],
    "html_content": "<html><body><h1>Hello!</h1><p>This is a test email.</p></body></html>",
    "cc": ["cc1@example.com"],
    "bcc": ["bcc1@example.com"],
    "priority": 1,
}


def make_config(service: Caller) -> int:
    return int(service.post("/api/smtp-configs", CONFIG).json["config_id"])


def test_it_creates_a_config(service: Caller) -> None:
    response = service.post("/api/smtp-configs", CONFIG)
    assert response.status_code == 201
    assert response.json == {
        "message": "SMTP configuration created successfully",
        "config_id": response.json["config_id"],
    }
    assert response.headers["Location"] == f"/api/smtp-configs/{response.json['config_id']}"


def test_it_lists_configs(service: Caller) -> None:
    config_id = make_config(service)
    listed = service.get("/api/smtp-configs").json
    assert listed[-1].items() >= {
        "id": config_id,
        "name": "Gmail Account",
        "email_address": "your-email@gmail.com",
        "active": True,
        "daily_limit": 500,
        "sent_count_today": 0,
        "sent_count_hour": 0,
    }.items()  # fmt: skip


def test_it_shows_a_config(service: Caller) -> None:
    config_id = make_config(service)
    shown = service.get(f"/api/smtp-configs/{config_id}").json
    expected = {name: value for name, value in CONFIG.items() if name != "password"}
    assert shown.items() >= (expected | {"id": config_id, "active": True, "sent_count_today": 0}).items()
    assert shown["sent_count_hour"] == 0
    assert shown["last_sent"] is None
    assert shown["created_at"].endswith("Z")


def test_it_updates_a_config(service: Caller) -> None:
    config_id = make_config(service)
    response = service.put(f"/api/smtp-configs/{config_id}", {"active": False, "daily_limit": 1000})
    assert (response.status_code, response.json) == (
        200,
        {"message": "SMTP configuration updated successfully"},
    )
    shown = service.get(f"/api/smtp-configs/{config_id}").json
    assert (shown["active"], shown["daily_limit"], shown["hourly_limit"]) == (False, 1000, 50)


def test_it_creates_shows_and_lists_an_email(service: Caller) -> None:
    config_id = make_config(service)
    response = service.post("/api/emails", EMAIL | {"smtp_config_id": config_id})
    assert response.status_code == 201
    email_id = response.json["email_id"]
    assert response.json == {"message": "Email created and queued successfully", "email_id": email_id}
    assert response.headers["Location"] == f"/api/emails/{email_id}"

    shown = service.get(f"/api/emails/{email_id}").json
    assert (
        shown.items()
        >= {
            "id": email_id,
            "subject": "Test Email",
            "sender": "your-email@gmail.com",
            "sender_name": "Your Name",
            "status": "queued",
            "priority": 1,
            "retry_count": 0,
            "smtp_config": "Gmail Account",
            "sent_at": None,
            "error_message": None,
            "recipients": ["recipient1@example.com", "recipient2@example.com"],
            "cc": ["cc1@example.com"],
            "bcc": ["bcc1@example.com"],
        }.items()
    )
    assert {"created_at", "updated_at"} <= shown.keys()

    listed = service.get("/api/emails/status/queued?limit=50").json
    assert listed[0].items() >= {
        "id": email_id, "subject": "Test Email", "status": "queued", "priority": 1, "retry_count": 0,
    }.items()  # fmt: skip
