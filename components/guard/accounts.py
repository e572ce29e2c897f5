"""Who may log in: the setting NEUROAL_AUTH, or a file that NEUROAL_AUTH_FILE names; one ``name:password`` a line."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from neuroal.errors import UserError

VALUE, FILE = "NEUROAL_AUTH", "NEUROAL_AUTH_FILE"

SHORTEST = 8

# Shown above the form.
MESSAGE = "This app asks for a login. After five wrong passwords in a row there is a wait, longer each time."


class Accounts:
    """Names and passwords. A password is kept as a keyed digest only, so that no dump of this object tells it.

    Args:
        passwords: by name.
    """

    def __init__(self, passwords: Mapping[str, str]) -> None:
        self._key = secrets.token_bytes(32)
        self._digests = {name: self._digest(password) for name, password in passwords.items()}
        self._nobody = secrets.token_bytes(32)

    def __call__(self, name: str, password: str) -> bool:
        """Whether they belong together; takes as long for a name that is not known."""
        known = self._digests.get(name, self._nobody)
        return hmac.compare_digest(known, self._digest(password))

    def _digest(self, password: str) -> bytes:
        return hmac.digest(self._key, password.encode("utf-8", "replace"), hashlib.sha256)


def accounts_from_environment(environ: Mapping[str, str] = os.environ) -> Accounts | None:
    """The accounts that the settings name; None where nobody has to log in.

    Raises:
        UserError: both settings are given, or the file cannot be read, or a line is no account. No password is in it.
    """
    value, file = environ.get(VALUE, ""), environ.get(FILE, "")
    if value and file:
        raise UserError(f"{VALUE} and {FILE} are both set; keep one of them.")
    if not value and not file:
        return None
    if file:
        try:
            value = Path(file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(
                f"The file that {FILE} names cannot be read as text; check its path and its rights."
            ) from error
    return Accounts(_passwords(value, FILE if file else VALUE))


def _passwords(text: str, setting: str) -> dict[str, str]:
    """By name. Whoever asks for a login and names nobody would not want everybody to be let in."""
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, password = line.partition(":")
        name, place = name.strip(), f"Line {number} of {setting}"
        if not colon or not name:
            raise UserError(f"{place} is no account; write name:password, one account a line.")
        if len(password.strip()) < SHORTEST:
            raise UserError(f"{place} has a password of less than {SHORTEST} characters; choose a longer one.")
        if name in found:
            raise UserError(f"{place} names an account that is there already; keep one of them.")
        found[name] = password.strip()
    if not found:
        raise UserError(f"{setting} names no account; write name:password, one account a line, or unset it.")
    return found
