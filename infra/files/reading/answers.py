"""What is no answer: cells that say that there is nothing to say."""

import re
import unicodedata

_WORDS = frozenset(
    """
    n/a|na|n.a|n.a.|none|nothing|nil|null|nan|no comment|no comments|no answer|no response|not applicable
    nothing to add
    nothing else|none given|no feedback|no suggestions|no suggestion|n/c|tbd|test|asdf|asdfg|asdfgh|asdfasdf|qwerty
    xxx|xx
    no further comments|nothing more|not answered|unanswered|skipped|prefer not to say|no opinion|<na>
    (blank)|(none)|(empty)
    [deleted]|[removed]|[deleted by user]|[removed by reddit]|#n/a|no text|(no text)|undefined|empty
    k.a|k.a.|ka|keine|keine angabe|keine angaben|kein kommentar|keine antwort|nichts|entfällt|nein danke
    keine anmerkungen
    keine anmerkung|nichts weiter
    aucun|aucune|aucun commentaire|rien|rien à signaler|ras|sans objet|sans réponse|néant|pas de commentaire|s.o|s/o
    ninguno|ninguna|nada|sin comentarios|sin comentario|sin respuesta|no aplica|n/d
    nenhum|nenhuma|sem comentários|sem comentário|sem resposta|não se aplica
    nessuno|nessuna|niente|nessun commento|nessuna risposta
    geen|niets|geen opmerkingen|geen commentaar|nvt|n.v.t|n.v.t.
    brak|nic|nie dotyczy|bez komentarza|нет|ничего|нет ответа|без комментариев
    idk|dk|dont know|don't know|don’t know|i dont know|i don't know|i don’t know|no idea|nothing at all|none at all
    nothing comes to mind|none that i can think of|nothing that i can think of|nothing i can think of|not sure|unsure
    weiß nicht|weiss nicht|weiß ich nicht|keine ahnung|keine meinung|je ne sais pas|ne sait pas|nsp|aucune idée
    sin opinión|no sé|no lo sé|ns/nc|ns|non so|nessuna opinione|não sei|weet niet|geen idee|geen mening|nie wiem
    vet ej|vet inte|vet ikke|ved ikke|en tiedä|ei mitään|не знаю|затрудняюсь ответить|bilmiyorum|yok|fikrim yok
    わからない|分からない|わかりません|不知道|不清楚|모름|모르겠습니다
    <media omitted>|image omitted|video omitted|audio omitted|sticker omitted|gif omitted|<medien ausgeschlossen>
    <multimedia omitido>|<médias omis>|this message was deleted|this message was deleted.|you deleted this message
    diese nachricht wurde gelöscht.
    なし|特になし|ない|特にない|無し|无|没有|無|沒有|없음|없습니다|없다
    """.replace("\n", "|").split("|")
)
_NON_ANSWERS = frozenset(word.strip() for word in _WORDS if word.strip())
_OUTSIDE = re.compile(r"^[\s\"'*_]+|[\s\"'*_!]+$")
_AROUND_SLASH = re.compile(r"\s*/\s*")
_WORDLIKE = ("L", "N", "S")  # letters, numbers, symbols: an emoji is an answer


def is_non_answer(text: str) -> bool:
    """Whether a text says nothing: ``n/a``, ``none``, a lone mark, ``[deleted]`` and their like in other languages."""
    plain = " ".join(_OUTSIDE.sub("", unicodedata.normalize("NFKC", text)).casefold().split())
    bare = _AROUND_SLASH.sub("/", plain.rstrip(".。 "))
    if plain in _NON_ANSWERS or bare in _NON_ANSWERS:
        return True
    return bool(text.strip().strip("\u200b\u200e\u200f\ufeff")) and not any(map(_says_something, plain))


def _says_something(letter: str) -> bool:
    category = unicodedata.category(letter)
    return category[0] in _WORDLIKE and letter not in "^`~|<>=+"
