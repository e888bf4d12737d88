"""TLS towards a foreign broker, as ``mqtt.ca_file``, ``cert_file``, ``key_file`` and ``insecure`` say."""

from __future__ import annotations

import logging
import ssl

from app.sections import Mqtt
from app.settings import SettingsError
from app.trust import trusting

log = logging.getLogger(__name__)


def client_tls(settings: Mqtt) -> ssl.SSLContext:
    """TLS 1.2 and above. Says in the log when nobody checks the broker's certificate. Raises SettingsError."""
    try:
        context = trusting(settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"mqtt.ca_file: {settings.ca_file} cannot be used: {_why(error)}: give CA certificates in PEM form."
        ) from None
    if settings.cert_file is not None:
        try:
            # The callback keeps OpenSSL from asking for a password on the terminal; a key with one is refused.
            context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: "")
        except (OSError, ssl.SSLError, ValueError) as error:
            raise SettingsError(
                f"mqtt.cert_file {settings.cert_file} and mqtt.key_file {settings.key_file} cannot be used: {_why(error)}: "
                "give a certificate and its private key, without a password, in PEM form."
            ) from None
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        log.warning(
            "mqtt.insecure is true: the certificate of the broker is not checked, so whoever sits on the way can read and change "
            "everything; name the CA in mqtt.ca_file instead"
        )
    return context


def _why(error: OSError | ValueError) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or error)
