"""Interviews and reports: turns, speakers and times, who asks, positions, and what is cut into what."""

import io
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
from docx import Document
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from infra.files.reading.transcripts import DocumentText, turns_of
from models.errors import InputError, SettingError
from tests.unit.files.reading.reader import Read, book

VTT = """WEBVTT

NOTE recorded at the library

1
00:00:01.000 --> 00:00:04.200
<v Interviewer>How do you plan a trip?

2
00:00:04.500 --> 00:00:07.000
<v Participant 3>I ask friends first

3
00:00:07.100 --> 00:00:09.900
<v Participant 3>and then compare prices.

4
00:00:10.100 --> 00:00:12.000
<v Interviewer>Why not online?

5
00:00:12.500 --> 00:00:14.000
<v Participant 3>The ratings are bought.
"""
SRT = """1
00:00:01,000 --> 00:00:04,200
Anna Berg: What did you miss?

2
00:00:04,500 --> 00:00:07,000
Tom: A quiet room,

3
00:00:07,100 --> 00:00:09,900
Tom: and more light.

4
00:00:10,100 --> 00:00:12,000
Anna Berg: And the staff?

5
00:00:12,500 --> 00:00:14,000
Tom: Kind.
"""
TURNS = """I: How do you plan a trip?
B: I ask friends. They know.
and they tell #00:00:09-9#

I: Why?
B: (laughs) Trust."""


def word(folder: Path, *paragraphs: str) -> bytes:
    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    document.save(folder / "made.docx")
    return (folder / "made.docx").read_bytes()


def pdf(*lines: str) -> bytes:
    writer = PdfWriter()
    page = writer.add_blank_page(width=400, height=800)
    font = {"/Type": NameObject("/Font"), "/Subtype": NameObject("/Type1"), "/BaseFont": NameObject("/Helvetica")}
    fonts = DictionaryObject({NameObject("/F1"): DictionaryObject({NameObject(n): v for n, v in font.items()})})
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    content = DecodedStreamObject()
    shown = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
    content.set_data(f"BT /F1 12 Tf 20 780 Td {shown} ET".encode())
    page[NameObject("/Contents")] = writer._add_object(content)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def test_cues_of_one_speaker_are_a_turn_with_its_times(tmp_path):
    read = Read(tmp_path, VTT, "interview.vtt")
    assert read.texts == ["I ask friends first and then compare prices.", "The ratings are bought."]
    first = read.segments[0].metadata
    assert (first["speaker"], first["role"], first["start_s"], first["end_s"]) == (
        "Participant 3",
        "respondent",
        4.5,
        9.9,
    )
    assert first["question"] == "How do you plan a trip?"
    assert [row.kind for row in read.left_out] == ["the interviewer's words"] * 2
    assert "2 x left out: the interviewer's words" in read.summaries


def test_names_before_a_colon_are_speakers_and_who_mostly_asks_is_the_interviewer(tmp_path):
    read = Read(tmp_path, SRT, "interview.srt")
    assert read.texts == ["A quiet room, and more light.", "Kind."]
    assert [segment.metadata["question"] for segment in read.segments] == ["What did you miss?", "And the staff?"]
    assert "'Anna Berg' asks: left out" in read.remarks


def test_cues_without_speakers_are_joined_to_sentences(tmp_path):
    cues = ["the lift was", "broken all week.", "Nobody", "came."]
    body = "".join(f"00:00:{n:02}.000 --> 00:00:{n:02}.900\n{cue}\n\n" for n, cue in enumerate(cues))
    assert Read(tmp_path, f"WEBVTT\n\n{body}", "talk.vtt").texts == ["the lift was broken all week.", "Nobody came."]


def test_a_text_file_of_turns_is_a_transcript_and_its_places_lead_back(tmp_path):
    read = Read(tmp_path, TURNS, "interview.txt")
    assert read.texts == ["I ask friends. They know. and they tell", "(laughs) Trust."]
    assert read.segments[0].metadata["end_s"] == 9.9
    start, end = read.segments[1].metadata["position"]
    assert TURNS[start:end] == "(laughs) Trust."
    assert "4 turns of 'I' (2), 'B' (2)" in read.remarks


def test_a_text_file_of_lines_with_a_colon_here_and_there_stays_lines(tmp_path):
    assert Read(tmp_path, "Note: the lift\nit was broken\nMy tip: stairs\n", "notes.txt").texts == [
        *("Note: the lift", "it was broken", "My tip: stairs"),
    ]


def test_word_and_rtf_and_pdf_give_the_same_turns(tmp_path):
    lines = ["I: How do you plan a trip?", "B: I ask friends.", "I: Why?", "B: They know."]
    rtf = "{\\rtf1\\ansi " + "\\par ".join(lines) + "\\par}"
    files = {"a.docx": word(tmp_path, *lines), "a.rtf": rtf.encode(), "a.pdf": pdf(*lines)}
    for name, content in files.items():
        read = Read(tmp_path, content, name)
        assert read.texts == ["I ask friends.", "They know."], name
        assert [segment.metadata["turn"] for segment in read.segments] == [2, 4]


def test_a_word_file_without_its_packages_relations_is_read_too(tmp_path):
    body = "".join(f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>" for text in ("I: Why?", "B: They know."))
    names = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    with zipfile.ZipFile(tmp_path / "bare.zip", "w") as archive:
        archive.writestr(
            "[Content_Types].xml", '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
        )
        archive.writestr("word/document.xml", f"<w:document {names}><w:body>{body}</w:body></w:document>")
    assert Read(tmp_path, (tmp_path / "bare.zip").read_bytes(), "bare.docx").texts == ["They know."]


def test_a_report_without_speakers_is_read_by_its_paragraphs(tmp_path):
    read = Read(
        tmp_path, word(tmp_path, "The lift was broken.", "", "Breakfast was good. Coffee was not."), "report.docx"
    )
    assert read.texts == ["The lift was broken.", "Breakfast was good. Coffee was not."]
    assert "speaker" not in read.segments[0].metadata


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("turn", ["One. Two of Dr. Berg!\nThree.", "Four."]),
        ("paragraph", ["One. Two of Dr. Berg!", "Three.", "Four."]),
        ("sentence", ["One.", "Two of Dr. Berg!", "Three.", "Four."]),
    ],
)
def test_a_turn_is_cut_into_what_is_asked_for(tmp_path, unit, expected):
    content = word(tmp_path, "I: And?", "B: One. Two of Dr. Berg!", "Three.", "I: So?", "B: Four.")
    assert Read(tmp_path, content, "a.docx", unit=unit).texts == expected


@pytest.mark.parametrize("unit", ["turn", "paragraph", "sentence"])
def test_positions_are_places_in_the_documents_text(tmp_path, unit):
    lines = ["I: And?", "B: One thing. Two things!", "Three things.", "I: So?", "B: Four."]
    for segment in Read(tmp_path, word(tmp_path, *lines), "a.docx", unit=unit).segments:
        start, end = segment.metadata["position"]
        assert "\n".join(lines)[start:end].strip() == segment.text


def test_the_interviewer_can_be_named_or_nobody(tmp_path):
    assert Read(tmp_path, TURNS, "a.txt", interviewer="B").texts == ["How do you plan a trip?", "Why?"]
    assert len(Read(tmp_path, TURNS, "a.txt", interviewer="").texts) == 4


@pytest.mark.parametrize(
    "written",
    ["{name}  0:{at}\n{text}", "[00:00:{at}] {name}: {text}", "{name} (00:{at}): {text}", "00:00:{at} {name}: {text}"],
)
def test_times_beside_names_are_when_a_turn_begins(written):
    talk = [("03", "1", "How was it?"), ("08", "2", "Too loud."), ("11", "1", "Why?"), ("12", "2", "Fans.")]
    lines = [written.format(at=at, name=f"Speaker {number}", text=text) for at, number, text in talk]
    turns = turns_of(DocumentText("\n".join(lines)))
    assert [(turn.speaker, turn.text, turn.begins_s) for turn in turns] == [
        *(("Speaker 1", "How was it?", 3.0), ("Speaker 2", "Too loud.", 8.0)),
        *(("Speaker 1", "Why?", 11.0), ("Speaker 2", "Fans.", 12.0)),
    ]


TALK = [("Anna Berg", "How was it?"), ("Ben Kohl", "It was loud."), ("Anna Berg", "Why?"), ("Ben Kohl", "The fans.")]
WRITTEN = {
    "colon": "{name}: {text}",
    "full-width colon": "{name}：{text}",
    "bold": "**{name}:** {text}\n",
    "numbered": "{n} {name}: {text}",
    "f4": "#00:00:0{n}-0# {name}: {text}",
    "trint": "[00:00:0{n}] {name}: {text}\n",
    "otter": "{name}  0:0{n}\n{text}\n",
    "rev": "{name} (00:0{n}):\n{text}\n",
    "capitals": "{NAME}\n{text}\n",
    "brackets": "[{name}]\n{text}\n",
    "teams": "0:0:{n}.0 --> 0:0:{n}.480\n{name}\n{text}",
    "zoom chat": "10:11:1{n}\t From  {name}  to  Everyone : {text}",
    "name, then time": "{name}: 00:0{n}\n{text}",
    "time, then name": "[00:00:0{n}.20] - {name}\n{text}\n",
    "angles": "<{name}> {text}",
    "table": "00:0{n}\t{name}\t{text}",
    "whatsapp": "1{n}/02/2026, 10:1{n} - {name}: {text}",
    "whatsapp on iOS": "\u200e[13.02.26, 10:1{n}:12] {name}: {text}",
}


@pytest.mark.parametrize("form", WRITTEN)
def test_turns_are_found_as_programs_for_transcripts_and_chats_write_them(tmp_path, form):
    lines = [
        WRITTEN[form].format(n=n, name=name, NAME=name.upper(), text=text) for n, (name, text) in enumerate(TALK, 1)
    ]
    read = Read(tmp_path, "\n".join(lines), "talk.txt")
    assert read.texts == ["It was loud.", "The fans."]
    assert [each.metadata["question"] for each in read.segments] == ["How was it?", "Why?"]
    start, end = read.segments[1].metadata["position"]
    assert "\n".join(lines)[start:end].strip() == "The fans."


@pytest.mark.parametrize(
    ("asks", "answers", "mark"),
    [
        ("聞き手", "田中", "："),
        ("访谈者", "受访者", "："),
        ("Интервьюер", "Анна", ": "),
        ("Q", "A", ". "),
        ("I", "P1", "\t"),
    ],
)
def test_who_asks_is_known_by_the_name_in_other_languages_and_signs(tmp_path, asks, answers, mark):
    lines = [f"{asks}{mark}one.", f"{answers}{mark}two", f"{asks}{mark}three.", f"{answers}{mark}four"]
    assert Read(tmp_path, "\n".join(lines), "talk.txt").texts == ["two", "four"]


def test_a_chats_times_are_read_its_system_lines_and_missing_media_left_out(tmp_path):
    lines = ["Messages are encrypted.", "Ann: Hello", "Ben: <Media omitted>", "Cleo joined", "Ann: Bye", "Ben: See you"]
    read = Read(
        tmp_path,
        "\n".join(f"13/02/2026, 10:1{n} - {line}" for n, line in enumerate(lines)),
        "chat.txt",
        leave_out_non_answers=True,
    )
    assert read.texts == ["Hello", "Bye", "See you"]
    assert read.times[0] == "2026-02-13T10:11:00+00:00"
    assert "line 1 above the first turn" in read.remarks


def test_a_list_of_answers_stays_lines_although_some_begin_alike(tmp_path):
    lines = [
        "Loved it",
        "Hated the staff",
        "Ok",
        "The lift: slow",
        "The staff: rude",
        "The lift: old",
        "The staff: nice",
    ]
    assert Read(tmp_path, "\n".join(lines), "answers.txt").texts == lines


def test_who_speaks_once_is_a_speaker_too_where_others_are_called_alike(tmp_path):
    read = Read(tmp_path, "P1: Good.\nP2: Bad.\nP3: Fine.\nP1: Long.\nP2: Short.\n", "group.txt")
    assert read.texts == ["Good.", "Bad.", "Fine.", "Long.", "Short."]


def test_a_sound_in_brackets_is_no_speech(tmp_path):
    cues = "WEBVTT\n\n00:01.000 --> 00:02.000\n[Music]\n\n00:02.000 --> 00:03.000\nHello there.\n"
    assert Read(tmp_path, cues, "a.vtt").texts == ["Hello there."]


def test_what_stands_above_the_first_question_is_nobodys_answer_and_said(tmp_path):
    head = "Interview with Ben\nDate: 13 Feb 2026\nPlace: Berlin\n\n"
    read = Read(tmp_path, head + "Interviewer: How?\nBen: Good.\nInterviewer: Why?\nBen: Quiet.\n", "talk.txt")
    assert read.texts == ["Good.", "Quiet."]
    assert "lines 1 to 3 above the first turn: nobody speaks, left out" in read.remarks


def test_a_programs_own_last_line_is_nobodys_word(tmp_path):
    talk = "Ann  0:00\nHow?\n\nBen  0:07\nGood.\n\nAnn  0:09\nWhy?\n\nBen  0:12\nQuiet.\n"
    for line in ("Transcribed by https://otter.ai", "Ann stopped transcription"):
        assert Read(tmp_path, f"{talk}{line}\n", "talk.txt").texts == ["Good.", "Quiet."]


@pytest.mark.parametrize("name", ["[{}]\n", "[{}] ", ">> {}: ", "{}: "])
def test_cues_name_their_speakers_in_several_ways(tmp_path, name):
    cues = [("ANN", "How?"), ("BEN", "Good."), ("ANN", "Why?"), ("BEN", "Quiet.")]
    body = "".join(
        f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{name.format(who)}{text}\n\n" for n, (who, text) in enumerate(cues, 1)
    )
    assert Read(tmp_path, body, "talk.srt").texts == ["Good.", "Quiet."]


def test_two_who_speak_in_one_cue_are_two_and_captions_that_roll_are_read_once(tmp_path):
    two = "WEBVTT\n\n00:01.000 --> 00:04.000\n- Hello there.\n- The wait was long.\n"
    assert Read(tmp_path, two, "a.vtt").texts == ["Hello there.", "The wait was long."]
    rolling = "".join(
        f"00:0{n}.000 --> 00:0{n}.900\n{text}\n\n"
        for n, text in enumerate(["the app", "the app", "the app\nis slow", "is slow", "is slow\ntoday."], 1)
    )
    assert Read(tmp_path, f"WEBVTT\n\n{rolling}", "b.vtt").texts == ["the app is slow today."]


def test_lines_with_times_and_no_names_are_sentences_with_their_times(tmp_path):
    lines = (
        "[00:00.000 --> 00:04.000]  the lift was\n[00:04.000 --> 00:07.000]  broken.\n[00:07.000 --> 00:09.000]  Yes.\n"
    )
    read = Read(tmp_path, lines, "talk.txt")
    assert read.texts == ["the lift was broken.", "Yes."]
    assert (read.segments[0].metadata["start_s"], read.segments[0].metadata["end_s"]) == (0.0, 7.0)


@pytest.mark.parametrize(
    ("name", "way_out"),
    [
        ("a.doc", "save it as .docx"),
        ("a.xls", "save it as .xlsx"),
        ("a.mp3", "transcribed"),
        ("a.sav", "export it as CSV"),
    ],
)
def test_a_format_that_is_not_read_is_named_with_the_way_out(tmp_path, name, way_out):
    with pytest.raises(InputError, match=way_out):
        Read(tmp_path, b"\xd0\xcf\x11\xe0 and more", name)


@pytest.mark.parametrize("name", ["a.docx", "a.pdf", "a.vtt", "a.srt"])
def test_what_is_not_what_its_name_says_is_an_error_in_one_line(tmp_path, name):
    with pytest.raises(InputError, match=r"a\.\w+: "):
        Read(tmp_path, b"no such thing at all", name)


def test_a_scan_without_text_is_told(tmp_path):
    with pytest.raises(InputError, match="no text found in it; if it is scanned"):
        Read(tmp_path, pdf(), "scan.pdf")


def test_a_missing_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "striprtf.striprtf", None)
    with pytest.raises(SettingError, match=r"RTF documents need striprtf .* install 'qualstream\[documents\]'"):
        Read(tmp_path, b"{\\rtf1 a}", "a.rtf")


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pdf"])
def test_a_file_with_a_damaged_byte_is_read_or_refused_in_one_line(tmp_path, name):
    lines = ["I: Why?", "B: They know.", "I: And?", "B: The price."]
    made = {"a.docx": lambda: word(tmp_path, *lines), "a.pdf": lambda: pdf(*lines)}
    whole = made.get(name, lambda: book(tmp_path, Sheet=[["id", "text"], *enumerate(lines)]))()
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        with suppress(InputError):
            assert len(Read(tmp_path, damaged, name).texts) <= len(lines)


def test_a_name_that_comes_once_is_a_speaker_where_most_cues_have_one(tmp_path):
    cues = ["Anna Berg: How was it?", "P1: We waited three hours", "P1: and nobody came."]
    body = "".join(f"00:00:0{n}.000 --> 00:00:0{n + 1}.000\n{cue}\n\n" for n, cue in enumerate(cues, 1))
    read = Read(tmp_path, f"WEBVTT\n\n{body}", "a.vtt")
    assert [segment.metadata["speaker"] for segment in read.segments] == ["Anna Berg", "P1"]
    assert read.texts == ["How was it?", "We waited three hours and nobody came."]
