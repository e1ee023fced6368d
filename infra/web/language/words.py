"""Texts that other rooms write in English and the page shows: here for the catalogues alone.

What has values in it has ``{1}``, ``{2}`` ... in their places, as errors' sentences have (language/refusals.py). A test
holds these to what the other rooms say.
"""

from infra.web.language.speech import N_

ELSEWHERE = (
    # roles of people
    N_("viewer"),
    N_("annotator"),
    N_("lead"),
    N_("admin"),
    # what a token may do
    N_("read"),
    N_("labels"),
    N_("ingest"),
    N_("manage"),
    N_("read what its owner may read"),
    N_("write labels, as its owner"),
    N_("send in segments"),
    N_("change codebook, rules and releases, as far as its owner may"),
    # what a role does
    N_("publishes what was taken in"),
    N_("every member reads the segment"),
    N_("settles on one label"),
    N_("reuses or creates a code"),
    N_("gives confidence and route"),
    N_("learns from people's labels"),
    N_("fills the SQL read model"),
    N_("watches what was coded for drift"),
    N_("people code, run the codebook"),
    # routes, and who decided
    N_("accepted"),
    N_("suggested"),
    N_("people"),
    N_("model"),
    N_("adjudication"),
    N_("undecided"),
    # why people were asked
    N_("low confidence"),
    N_("audit"),
    N_("double coding"),
    N_("asked again"),
    N_("not in the codebook"),
    N_("every segment"),
    # how the moderator decided
    N_("picked"),
    N_("rewrote"),
    N_("consensus"),
    N_("precedent"),
    # what was done with a code
    N_("created"),
    N_("renamed"),
    N_("defined"),
    N_("moved"),
    N_("merged"),
    N_("split"),
    N_("retired"),
    N_("restored"),
    N_("added"),
    N_("removed"),
    N_("redefined"),
    # where codes stand together
    N_("segment"),
    N_("document"),
    # what a confidence is worth
    N_("The confidence is uncalibrated: the share of such codes that people let stand is not known here."),
    N_("The confidence comes from blind ratings of codes of other texts: about that share of such codes stood."),
    N_("The confidence is calibrated on the study's labels: people let that share of such codes stand."),
    # agreement
    N_(
        "Krippendorff relies on codes with an alpha of 0.8 or more and draws only tentative conclusions "
        "between 0.667 and 0.8 (Content Analysis, 2nd edition 2004, page 241): a convention, to be read with "
        "the interval."
    ),
    N_(
        "Krippendorff's alpha: 1 is perfect, 0 is what chance would do, below 0 is worse. Any number of "
        "coders; codings that share some of their codes count as partly alike (MASI)."
    ),
    N_("Fleiss' kappa: the same scale, with the whole set of codes of a segment as one category."),
    N_("How often two codings of a segment have the very same codes, chance included."),
    N_("nobody has coded a segment yet"),
    N_("there is only one coder; agreement needs two"),
    N_("no segment has two coders"),
    N_("they coded no segment in common"),
    N_("on every shared segment all found that no code fits"),
    N_("all gave the same code everywhere, which chance alone would do as well"),
    # groups compared
    N_("wrong"),
    N_("let stand"),
    N_("to people"),
    N_("reused"),
    # what alerts are about
    N_("codes"),
    N_("terms"),
    N_("texts"),
    N_("sources"),
    N_("rule"),
    N_("what people say changed"),
    N_("the coder changed"),
    N_("the codebook changed"),
    N_("the people who judge changed"),
    N_("where it comes from changed"),
    # what charts of drift name, and how it is coded
    N_("other codes"),
    N_("before"),
    N_("after"),
    N_("distance"),
    N_("control limit (99%)"),
    N_("Distance of the codes over time"),
    N_("Texts in two dimensions, before and after"),
    N_("confidence"),
    N_("agreement of the members"),
    N_("similarity to the code reused"),
    N_("let stand by people"),
    N_("two people agree"),
    N_("rewritten by the moderator"),
    N_("new codes"),
    N_("dead letters"),
    # groups of segments
    N_("source"),
    N_("language"),
    N_("length"),
    N_("under 10 words"),
    N_("10 to 24 words"),
    N_("25 to 49 words"),
    N_("50 words and more"),
    N_("(none)"),
    N_("(others)"),
    # columns of the labels
    N_("The study."),
    N_("The segment's id."),
    N_("The id that its source gave it."),
    N_("Its text."),
    N_("The segment that the text is a part of, where a person marked a part and coded that."),
    N_("Where it came from."),
    N_("When it was said, if known."),
    N_("Who decided."),
    N_("coding, or adjudication: it settles what coders disagree on."),
    N_("The codes that the person chose, as they were called then."),
    N_("Their ids."),
    N_("The same codes as they are called now; a merged one by what it became."),
    N_("What the person noted."),
    N_("Whether they said that they were not sure."),
    N_("Whether they took back what they had said."),
    N_("Whether this is the person's last word on the segment, and stands."),
    N_("The system's code at that time, if there was one."),
    N_("Whether they let the system's code stand: it is among those chosen."),
    N_("The system's confidence when it asked."),
    N_("Why the person was asked, if they were."),
    N_("Whether the system's code was hidden until the first choice."),
    N_("Whether the segment was drawn by chance."),
    N_("When they decided."),
    N_("How long they took."),
    N_("everything is marked alike, which chance alone would do as well"),
    N_("they marked no character in common"),
    # columns of memos and comments, and how parts agree
    N_("Memos"),
    N_("Comments"),
    N_("What the memo is on: code or document."),
    N_("The code as it is called now; a merged one by what it became."),
    N_("The id of the code that it was written on."),
    N_("The document."),
    N_("Who wrote it."),
    N_("What they noted."),
    N_("When."),
    N_("When they last changed it, if they did."),
    N_("The comment that begins the thread; the others answer it."),
    N_("The comment."),
    N_("What the thread is on: segment or code."),
    N_("The segment."),
    N_("The beginning of the segment's text, or the code as it is called now."),
    N_("What they said; empty where it was deleted and others had answered."),
    N_("Who marked the thread as settled, if somebody did."),
    N_("neither marked anything here"),
    N_("they have at least a character in common"),
    N_("they share at least half of what the two cover together (intersection over union from 0.5)"),
    N_("they begin and end at the same characters"),
    N_(
        "Compared are the parts that people marked, in documents in which both marked something: what one of "
        "the two did not mark there counts as read and left unmarked."
    ),
    N_(
        "Compared are the parts that people marked, in documents in which both marked something: what one of "
        "the two did not mark there counts as read and left unmarked. 'Qualstream' is the models' code of "
        "each segment, before people changed it; it counts for all characters of its segment. A segment that the "
        "models have not coded is left out; where they found no code of the codebook, it counts as read and left "
        "unmarked."
    ),
    # what raters are asked
    N_("Would a colleague know what is meant without the quote?"),
    N_("Is it as short as it can be, without words that say nothing?"),
    N_("Is it what the quote is mainly about?"),
    N_("Would you leave the code as it is? Yes, or no if you would change it."),
    N_("very poor: misses it altogether"),
    N_("poor: a part of it, or unclear"),
    N_("acceptable: relevant, could be better"),
    N_("good: right, with hardly anything to mend"),
    N_("excellent: right, clear and short"),
    # what a study holds
    N_("Reviews, survey answers or other short texts"),
    N_("models give each one a code, and open a new code where none fits. The most doubtful ones go to people."),
    N_("Interviews or other documents"),
    N_(
        "people code every segment, in the order in which it was said. Models suggest codes; a new one joins "
        "the codebook when a person chooses it."
    ),
)
"""Whole texts."""

SENTENCES = (
    N_("{1} marked nothing here"),
    N_("'{1}' is the code of {2} of {3} segments in {4} h; the limit that {5} set is {6}"),
    N_("{1}: {2} at the beginning, {3} at the end"),
    N_("Too early to tell whether more labels pay: {1} trainings are needed, there {2} {3}."),
    N_(
        "Labelling more of the same has stopped paying: the last {1} trainings changed almost none of the classifier's "
        "decisions ({2}). New sources and rare codes may still need labels."
    ),
    N_("Labelling pays less and less: one of two criteria says that the decisions have settled ({1})."),
    N_("Labelling still pays: the classifier's decisions still change with each training ({1})."),
    N_("The next tuning is due: a trainer at work begins it at once."),
    N_("The next choice of what to ask people is due: a trainer at work begins it at once."),
    N_("A person chose what serves, so nothing takes its place before {1} more labelled segment{2}."),
    N_("The first {1} comes after {2} more labelled segment{3}."),
    N_("The next tuning comes after {1} more labelled segment{2}, or after any from {3} UTC on."),
    N_("The next choice of what to ask people comes after {1} more labelled segment{2}, or after any from {3} UTC on."),
    N_("too many attempts failed; try again in {1} seconds"),
    N_("too many attempts failed; try again in {1} minutes"),
    N_("today's segments are all taken: the study's rules allow no more a day"),
    N_("today's time is used up: the study's rules allow no more minutes a day"),
)
"""Texts that come with values in them, or from where nothing lists them."""

REASONS = (
    N_("a new code for a segment"),
    N_("a new code where coders disagreed"),
    N_("admitted: models had proposed it"),
    N_("codes that belong together"),
)
"""Why the program itself changed the codebook; what people wrote stays as it is."""

OF_FILES = (
    N_("a passage with a further code"),
    N_("columns: {1}"),
    N_("columns: {1}; no column of {2}"),
    N_("columns: {1}; no column of {2} and none of {3}"),
    N_("encoding: {1}"),
    N_("line {1}"),
    N_("line {1}: {2}"),
    N_("lines {1}"),
    N_("lines {1} to {2}"),
    N_("no answer"),
    N_("no text"),
    N_("the id and text of an earlier row: they are one segment"),
    N_("the interviewer's words"),
    N_("warning: {1}"),
    N_("{1} x {2} ({3})"),
    N_("{1} further rows cannot be taken"),
    N_("{1}, confidence {2}"),
    N_("UTF-8, with lines in {1} among it"),
    N_("cells parted by {1}"),
    N_("cells parted by commas"),
    N_("cells parted by semicolons"),
    N_("cells parted by tabs"),
    N_("cells parted by bars"),
)
"""What is said of a file that is read: what sentences are set into, and parts that are joined."""
