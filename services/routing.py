"""Which SMTP configs may carry which mail.

Every email stands in a lane: its tenant, its explicit sender, and the config it is pinned to if any. The table `routes`
says which configs serve a lane. It is rewritten when a config changes or a lane is new, so that a claim only ever
looks at mail that may go.
"""

from __future__ import annotations

from models.database import FOR_KEY_SHARE, hold, marks, row, rows, run, run_many
from models.smtp_config import Lane, SmtpConfig
from services.errors import FieldError, InvalidInputError
from utils.addresses import domain_of

# + a tenant, or * for everyone: the switch that has ended the sandbox's share of unpinned mail.
SANDBOX_RETIRED = "sandbox_retired:"


# Held by whoever makes a lane or changes a config, so that neither misses the other.
ROUTES = "routes"


def may_carry(config: SmtpConfig, tenant: str, sender: str) -> bool:
    """Whether unpinned mail of this tenant and sender key ('', a domain, or an address) may go through `config`."""
    if config.account_id or (config.sandbox and _sandbox_retired(tenant)):
        return False
    return config.weight > 0 and may_use(config, tenant) and may_send_as(config, sender)


def may_use(config: SmtpConfig, tenant: str) -> bool:
    """A tenant's own configs, and those of the service that are shared."""
    return config.tenant == tenant or (config.tenant == "" and config.shared)


def may_send_as(config: SmtpConfig, sender: str) -> bool:
    """Whether a config permits an explicit sender: '' (its own address), an address, or a domain."""
    if not sender or config.allow_any_sender or sender.lower() == config.email_address.lower():
        return True
    domain = domain_of(sender) if "@" in sender else sender
    return domain in config.from_domains


def lane_for(
    tenant: str, sender: str, smtp_config_id: int | None, recipients: int = 1, user: str = ""
) -> int:
    """The lane of such mail, made where it is new. Inside a write job.

    `user`: who asks; '' speaks for the whole tenant. Only a pin depends on it.

    InvalidInputError when no config may ever carry it: it must be refused now, for it would wait for ever. No lane
    is made then: refused senders must not pile up in the table.
    """
    if smtp_config_id is not None:
        _check_pin(tenant, sender, smtp_config_id, user)
    key = (tenant, smtp_config_id or 0, _sender_key(tenant, sender))
    found = row("SELECT id FROM lanes WHERE tenant = ? AND smtp_config_id = ? AND sender = ?", *key)
    if found is None:
        hold(ROUTES)  # what somebody else has just made, or is changing, is seen from here on
        found = row("SELECT id FROM lanes WHERE tenant = ? AND smtp_config_id = ? AND sender = ?", *key)
    if found is not None:
        carriers = [one for (one,) in rows("SELECT smtp_config_id FROM routes WHERE lane_id = ?", found[0])]
    else:
        carriers = [config.id for config in SmtpConfig.select() if _serves(config, *key)]
    if not carriers:
        raise _nobody_carries(sender)
    _check_limits(carriers, recipients)
    return int(found[0]) if found is not None else _new_lane(key, carriers)


def _check_limits(carriers: list[int], recipients: int) -> None:
    """InvalidInputError for an email with more recipients than every config's limit: it would wait for ever."""
    fits = row(
        f"SELECT 1 FROM smtp_configs WHERE id IN ({marks(len(carriers))}) AND (limit_unit != 'recipients'"
        " OR ((hourly_limit = 0 OR hourly_limit >= ?) AND (daily_limit = 0 OR daily_limit >= ?))) LIMIT 1",
        *carriers, recipients, recipients,
    )  # fmt: skip
    if fits is None:
        message = "more recipients than the SMTP config may send to in its whole hour or day"
        raise InvalidInputError.of([FieldError("recipients", message, "OVER_LIMIT")])


def _new_lane(key: tuple[str, int, str], carriers: list[int]) -> int:
    tenant, smtp_config_id, sender = key
    lane = Lane.create(tenant=tenant, smtp_config_id=smtp_config_id, sender=sender)
    run_many(
        "INSERT INTO routes (smtp_config_id, lane_id) VALUES (?, ?)", [(one, lane.id) for one in carriers]
    )
    return int(lane.id)


def config_changed(config_id: int) -> None:
    """Rewrite the routes of a config after its row was made or changed. Inside a write job."""
    hold(ROUTES)
    config = SmtpConfig.get_by_id(config_id)
    if not (config.sandbox or config.account_id):
        _retire_sandbox(config)
    run("DELETE FROM routes WHERE smtp_config_id = ?", config_id)
    served = [one.id for one in Lane.select() if _serves(config, one.tenant, one.smtp_config_id, one.sender)]
    run_many(
        "INSERT INTO routes (smtp_config_id, lane_id) VALUES (?, ?)", [(config_id, lane) for lane in served]
    )


def config_removed(config_id: int) -> None:
    """Forget the routes of a config that is gone. Inside a write job."""
    run("DELETE FROM routes WHERE smtp_config_id = ?", config_id)


def _serves(config: SmtpConfig, tenant: str, pinned_to: int, sender: str) -> bool:
    """Whether a lane is the config's. A pin is no permission: the config may have lost it since."""
    if not pinned_to:
        return may_carry(config, tenant, sender)
    return bool(pinned_to == config.id) and may_use(config, tenant) and may_send_as(config, sender)


def _retire_sandbox(real: SmtpConfig) -> None:
    """A real account ends the sandbox's share of the unpinned mail of whoever may use it: real mail must never vanish
    into the sandbox, not even when the account is deleted again. Asked at every change; only the first one counts.
    """
    everyone = not real.tenant and real.shared
    retired = rows(
        "INSERT INTO switches (name, value, changed_at) VALUES (?, 'on', ?) ON CONFLICT DO NOTHING RETURNING name",
        SANDBOX_RETIRED + ("*" if everyone else real.tenant), real.updated_at,
    )  # fmt: skip
    if retired:
        run(
            "DELETE FROM routes WHERE smtp_config_id IN (SELECT id FROM smtp_configs WHERE sandbox)"
            " AND lane_id IN (SELECT id FROM lanes WHERE smtp_config_id = 0 AND (? OR tenant = ?))",
            everyone, real.tenant,
        )  # fmt: skip


def _sandbox_retired(tenant: str) -> bool:
    names = (f"{SANDBOX_RETIRED}*", SANDBOX_RETIRED + tenant)
    return row("SELECT 1 FROM switches WHERE name IN (?, ?)", *names) is not None


def _sender_key(tenant: str, sender: str) -> str:
    """'' or the domain of an explicit sender; the address itself where it is that of a config.

    A config without `from_domains` carries its own address only; a lane a domain could not tell the two apart,
    and a lane an address would make as many lanes as an app has senders.
    """
    if not sender:
        return ""
    sender = sender.encode().lower().decode()  # ASCII alone, as the lower() of SQLite
    own = row(
        'SELECT 1 FROM smtp_configs WHERE lower(email_address /*pg COLLATE "C"*/) = ?'
        " AND (tenant = ? OR tenant = '' AND shared)",
        sender, tenant,
    )  # fmt: skip
    return sender if own else domain_of(sender)


def _check_pin(tenant: str, sender: str, smtp_config_id: int, user: str) -> None:
    row(
        f"SELECT 1 FROM smtp_configs WHERE id = ? {FOR_KEY_SHARE}", smtp_config_id
    )  # or it might just be deleted
    config = SmtpConfig.get_or_none(SmtpConfig.id == smtp_config_id)
    if config is None or not may_use(config, tenant) or not _is_open_to(config, user):
        raise InvalidInputError.of(
            [FieldError("smtp_config_id", "no such SMTP config", "UNKNOWN_SMTP_CONFIG")]
        )
    if not may_send_as(config, sender):
        raise InvalidInputError.of([
            FieldError("sender", f"the SMTP config {config.name!r} may not send as this address", "SENDER_NOT_ALLOWED")
        ])  # fmt: skip


def _is_open_to(config: SmtpConfig, user: str) -> bool:
    """A config that was made for a mail account is its user's alone, and takes no more mail once that is deleted."""
    if not config.account_id:
        return True
    found = row('SELECT "user" FROM accounts WHERE id = ? AND deleted_at IS NULL', config.account_id)
    return found is not None and user in ("", found[0])


def _nobody_carries(sender: str) -> InvalidInputError:
    if sender:
        return InvalidInputError.of([
            FieldError("sender", "no SMTP config may send as this address", "SENDER_NOT_ALLOWED")
        ])  # fmt: skip
    return InvalidInputError.of([
        FieldError("smtp_config_id", "no SMTP config may carry this email; add one, or name one", "NO_SMTP_CONFIG")
    ])  # fmt: skip
