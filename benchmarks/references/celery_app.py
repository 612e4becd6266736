"""What a team writes first: a Flask endpoint that hands each email to a Celery task, which sends it with smtplib.

The broker's URL and the SMTP port come from the environment, as they would there.
"""

from __future__ import annotations

import os
import smtplib
from typing import Any

from celery import Celery
from flask import Flask, request

from benchmarks.bench import SENDER
from benchmarks.mail import as_message

celery = Celery("mails", broker=os.environ["BROKER"])
celery.conf.task_ignore_result = True


@celery.task(autoretry_for=(OSError, smtplib.SMTPException), retry_backoff=True)
def send_email(email: dict[str, Any]) -> None:
    with smtplib.SMTP("127.0.0.1", int(os.environ["SMTP_PORT"])) as server:
        server.send_message(as_message(email, SENDER))


def create_app() -> Flask:
    app = Flask("mails")

    @app.post("/api/emails")
    def create() -> Any:
        send_email.delay(request.get_json())
        return {"message": "queued"}, 202

    return app
