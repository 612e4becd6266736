"""SMTP accounts, their limits, their health, and which mail each may carry."""

from __future__ import annotations

from peewee import BigIntegerField, BooleanField, CompositeKey, FloatField, IntegerField, JSONField, TextField

from models.database import Table
from models.fields import IdField


class SmtpConfig(Table):
    """An SMTP account that the relay may send through."""

    id = IdField()
    tenant = TextField()  # '' is the service itself
    name = TextField()
    email_address = TextField()
    display_name = TextField(default="")
    smtp_host = TextField()
    smtp_port = IntegerField()
    username = TextField(null=True)
    password = TextField(null=True)  # encrypted
    use_tls = BooleanField(default=True)  # STARTTLS
    use_ssl = BooleanField(default=False)  # implicit TLS
    verify_tls = BooleanField(default=True)
    active = BooleanField(default=True)
    hourly_limit = IntegerField(default=0)  # 0: none
    daily_limit = IntegerField(default=0)
    limit_unit = TextField(default="messages")
    max_connections = IntegerField(default=5)
    max_messages_per_connection = IntegerField(default=100)
    weight = IntegerField(default=1)  # share of unpinned mail; 0 takes none
    from_domains = JSONField(default=list)
    allow_any_sender = BooleanField(default=False)
    shared = BooleanField(default=False)
    sandbox = BooleanField(default=False)  # made by us, for the built-in sandbox
    created_at = BigIntegerField()
    updated_at = BigIntegerField()
    account_id = TextField(
        null=True
    )  # the mail account that it was made for, whose user alone sends through it
    verp = BooleanField(
        default=False
    )  # its server takes mail for local+token: bounces come to such an address
    by_token = BooleanField(default=False)  # it logs in by the access token of its account

    class Meta:
        table_name = "smtp_configs"
        indexes = ((("tenant", "name"), True),)


class Health(Table):
    """What delivery has learnt about a config. Shared by all workers of all processes."""

    smtp_config_id = IntegerField(primary_key=True)
    paused = BooleanField(default=False)  # by a person, until resumed
    pause_until = BigIntegerField(null=True)  # by the provider's own words
    pause_reason = TextField(null=True)
    failures = IntegerField(default=0)  # connection or handshake failures in a row
    open_until = BigIntegerField(null=True)  # breaker: nothing goes before
    open_reason = TextField(null=True)
    probe_instance = IntegerField(null=True)  # who makes the one try of a half-open breaker
    window = FloatField(default=2.0)  # connections it has earned, up to max_connections
    grow_at = BigIntegerField(null=True)  # it earns no further connection before
    last_sent = BigIntegerField(null=True)
    last_error = TextField(null=True)
    last_error_at = BigIntegerField(null=True)

    class Meta:
        table_name = "health"


class Slot(Table):
    """How many connections an instance holds to a config."""

    smtp_config_id = IntegerField()
    instance_id = IntegerField()
    connections = IntegerField()

    class Meta:
        table_name = "slots"
        primary_key = CompositeKey("smtp_config_id", "instance_id")
        without_rowid = True


class Usage(Table):
    """Quota used by a config in one minute (epoch ms // 60,000)."""

    smtp_config_id = IntegerField()
    minute = IntegerField()
    messages = IntegerField()
    recipients = IntegerField()

    class Meta:
        table_name = "usage"
        primary_key = CompositeKey("smtp_config_id", "minute")
        without_rowid = True


class Lane(Table):
    """Mail that the same configs may carry: pinned to one, or of one tenant and sender."""

    id = IdField()
    tenant = TextField()
    smtp_config_id = IntegerField(default=0)  # 0: unpinned
    sender = TextField(default="")  # '', a domain, or the address of a config

    class Meta:
        table_name = "lanes"
        indexes = ((("tenant", "smtp_config_id", "sender"), True),)


class Route(Table):
    """A config may carry a lane."""

    smtp_config_id = IntegerField()
    lane_id = IntegerField()

    class Meta:
        table_name = "routes"
        primary_key = CompositeKey("smtp_config_id", "lane_id")
        without_rowid = True


Route.add_index(Route.lane_id, name="routes_lane")
