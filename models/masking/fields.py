"""Attributes that are personal by their names, in English and German, and what kind of thing each holds."""

import re
from collections.abc import Mapping

from models.masking.findings import Kind

_NAMES: Mapping[Kind, str] = {
    "name": "author author_name reviewer reviewer_name user user_name username display_name screen_name nickname "
    "customer customer_name client client_name name first_name last_name full_name given_name family_name surname "
    "contact contact_name respondent_name participant_name patient patient_name employee employee_name sender "
    "from_name recipient signature vorname nachname familienname benutzer benutzername nutzer nutzername verfasser "
    "kunde kundenname ansprechpartner teilnehmername absender",
    "mail": "mail email e_mail mail_address email_address e_mail_address user_email customer_email author_email "
    "contact_email from_email recipient_email mailadresse emailadresse e_mail_adresse",
    "phone": "phone phone_number telephone telephone_number tel mobile mobile_number mobile_phone cell cell_phone fax "
    "user_phone customer_phone contact_phone whatsapp telefon telefonnummer handy handynummer mobil mobilnummer",
    "address": "address street street_address postal_address home_address adresse anschrift strasse straße "
    "ip ip_address ip_adresse",
    "id": "author_id user_id reviewer_id customer_id client_id patient_id employee_id passport passport_number ssn "
    "social_security_number tax_id kundennummer kunden_id nutzer_id personalnummer steuer_id ausweisnummer",
    "IBAN": "iban bank_account account_number kontonummer",
    "card": "card_number credit_card credit_card_number kreditkarte kartennummer",
}
PERSONAL: Mapping[str, Kind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""By an attribute's name, folded, the kind of its values."""
_SPEAKER = "speaker"
_ROLE = re.compile(
    r"(?:interviewer|interviewerin|moderator|moderatorin|speaker|sprecher|sprecherin|participant|respondent|informant|"
    r"interviewee|person|proband|probandin|teilnehmer|teilnehmerin|befragte|befragter|patient|customer|agent|"
    r"kunde|kundin|user|subject|woman|man|frau|mann|[a-z]{1,3})[\s._-]*\d*[a-z]?:?",
    re.IGNORECASE,
)


def personal_kind(name: str, value: object) -> Kind | None:
    """What an attribute holds of a person, told by its name; nothing of an attribute with another name.

    A speaker of a transcript is a name unless it is a role or a number, such as ``Interviewer`` or ``P3``.
    """
    folded = re.sub(r"[^\w]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.strip())).casefold().strip("_")
    if folded == _SPEAKER:
        return None if _ROLE.fullmatch(str(value).strip()) else "name"
    return PERSONAL.get(folded)
