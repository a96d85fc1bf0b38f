"""What may be the name of an organization, a team or a credential. Pure."""

import unicodedata

from django.core.exceptions import ValidationError

# Control, format (zero-width, right-to-left), surrogate and private characters, line and paragraph separators: they
# make a name look like another, or end a line of a mail's header.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def clean_name(text: str, *, field: str = "name") -> str:
    """The name in NFC with single spaces; ValidationError when it is empty or has characters that nobody can see."""
    name = unicodedata.normalize("NFC", text).strip(" ")
    if any(unicodedata.category(character) in _REFUSED for character in name):
        raise ValidationError({field: "Line breaks and invisible characters are not allowed here."})
    name = " ".join(name.split())
    if not name:
        raise ValidationError({field: "This field is required."})
    return name
