"""What a folder is for: by its attributes (RFC 6154), else by its name in the languages that servers are set up in."""

from __future__ import annotations

from collections.abc import Collection

from models.inbox import Role

_ATTRIBUTES = {
    "\\inbox": Role.INBOX,
    "\\sent": Role.SENT,
    "\\drafts": Role.DRAFTS,
    "\\junk": Role.SPAM,
    "\\spam": Role.SPAM,
    "\\trash": Role.TRASH,
    "\\archive": Role.ARCHIVE,
    "\\all": Role.ARCHIVE,
    "\\allmail": Role.ARCHIVE,
}

_NAMES = {
    Role.SENT: """sent|sent items|sent mail|sent messages|gesendet|gesendete elemente|gesendete objekte
        |messages envoyés|éléments envoyés|envoyés|enviados|elementos enviados|mensajes enviados|itens enviados
        |inviati|inviata|posta inviata|verzonden|verzonden items|verzonden berichten|skickat|skickade objekt
        |sendt|sendte elementer|sendt post|lähetetyt|wysłane|elementy wysłane|odeslané|odeslaná pošta|elküldött
        |elküldött elemek|отправленные|надіслані|gönderilmiş öğeler|gönderilenler|送信済み|送信済みアイテム
        |送信済みメール|已发送|已发送邮件|已傳送|寄件備份|보낸 편지함|보낸편지함""",
    Role.DRAFTS: """drafts|draft|entwürfe|brouillons|borradores|rascunhos|bozze|concepten|utkast|kladder
        |luonnokset|kopie robocze|wersje robocze|koncepty|rozepsané|piszkozatok|черновики|чернетки|taslaklar
        |下書き|草稿|草稿箱|草稿匣|임시 보관함|임시보관함""",
    Role.SPAM: """junk|junk e-mail|junk email|junk mail|spam|bulk mail|unerwünscht|junk-e-mail|spamverdacht
        |courrier indésirable|indésirables|pourriel|correo no deseado|no deseado|lixo eletrônico|lixo electrónico
        |posta indesiderata|indesiderata|ongewenste e-mail|ongewenst|skräppost|uønsket e-mail|søppelpost
        |roskaposti|niechciane|wiadomości-śmieci|nevyžádaná pošta|levélszemét|спам|нежелательная почта
        |önemsiz e-posta|gereksiz|迷惑メール|垃圾邮件|垃圾郵件|정크 메일|스팸함|스팸""",
    Role.TRASH: """trash|deleted|deleted items|deleted messages|bin|papierkorb|gelöscht|gelöschte elemente
        |gelöschte objekte|corbeille|éléments supprimés|papelera|elementos eliminados|eliminados|lixeira
        |itens excluídos|itens eliminados|cestino|posta eliminata|eliminata|prullenbak|verwijderde items
        |papperskorgen|borttagna objekt|papirkurv|slettet post|slettede elementer|roskakori|poistetut|kosz
        |elementy usunięte|koš|odstraněná pošta|lomtár|törölt elemek|корзина|удаленные|удалённые|кошик
        |çöp kutusu|silinmiş öğeler|ゴミ箱|削除済みアイテム|已删除|已删除邮件|刪除的郵件|垃圾桶|휴지통|지운 편지함""",
    Role.ARCHIVE: """archive|archives|archiv|all mail|archivo|arquivo|arquivo morto|archivio|archief|arkiv
        |arkisto|archiwum|archív|архив|архів|arşiv|アーカイブ|归档|存档|封存|보관함""",
}
_BY_NAME = {
    name.strip(): role for role, names in _NAMES.items() for name in names.replace("\n", " ").split("|")
}
_PREFIXES = ("inbox/", "inbox.", "[gmail]/", "[google mail]/")


def role_of(name: str, separator: str | None, attributes: Collection[str]) -> Role:
    """By one folder alone. Where several would have a role, `settle` says which does."""
    told = by_attribute(attributes)
    if told is not None:
        return told
    if name.upper() == "INBOX":
        return Role.INBOX
    plain = name.casefold()
    if separator:
        plain = plain.replace(separator.casefold(), "/")
    for prefix in _PREFIXES:
        plain = plain.removeprefix(prefix)
    return _BY_NAME.get(plain, Role.CUSTOM)


def by_attribute(attributes: Collection[str]) -> Role | None:
    return next((_ATTRIBUTES[one.lower()] for one in attributes if one.lower() in _ATTRIBUTES), None)
