"""The words that make a text quaint, as data: a pattern, what to write instead, and a text with and one without it.

Patterns ignore case, except in `(?-i:…)`. They are searched for in texts that have single blanks between words.
"""

import re
from typing import NamedTuple


class QuaintWord(NamedTuple):
    """One entry. `found` contains the pattern; `plain` looks similar and does not."""

    pattern: str
    write: str
    found: str
    plain: str

    def expression(self) -> re.Pattern[str]:
        """The pattern as whole words."""
        return re.compile(rf"(?<![\w-])(?:{self.pattern})(?![\w-])", re.IGNORECASE)


NO_NOUN = "and|as|at|beside|by|for|from|in|is|on|or|that|to|where|which|with"
"""What may follow `of its own` where no noun does: `a list of its own rows` is plain English."""

WORDS: tuple[QuaintWord, ...] = tuple(
    QuaintWord(*entry)
    for entry in (
        ("told", "report, record, log, return, pass", "the job is told", "a total"),
        (
            "tells? (?:of|why|what|how|when|which|each|its|their|that|nothing)",
            "report, show, explain, log",
            "it tells why",
            "tells them apart",
        ),
        ("hears?|heard|unheard", "receive", "a worker hears it", "the heart"),
        ("(?<!that )said", "given, reported", "what was said", "That said, it works"),
        ("speaks? of|spoke of", "name, refer to", "the rows they speak of", "speaking of rows"),
        ("anew", "again", "run it anew", "a new run"),
        ("in vain", "without success; stuck", "it waits in vain", "a vain name"),
        ("mend(?:s|ed|ing)?", "repair, fix", "once it is mended", "amended"),
        ("whoever", "anyone who; name the role", "whoever holds it", "who holds it"),
        ("go(?:es)? before", "override", "an option goes before it", "a check runs before it"),
        ("goes on|go on(?! the)", "continue", "the job goes on", "events go on the timeline"),
        ("by the day", "depending on the day", "varying by the day", "by the end of the day"),
        ("such as", "for example", "a place such as this", "as such"),
        (
            rf"of (?:its|their|his|our|your|my) own(?= ?(?:$|[^\w\s]|(?:{NO_NOUN})\b))|one's own",
            "own, separate",
            "a process of its own, a schema of its own in it",
            "a list of its own rows",
        ),
        (
            "(?:is|are|was|were|be|been) had",
            "obtained, available",
            "a lock is to be had: it can be had",
            "the lock it had",
        ),
        ("(?-i:none) (?:is|was|has)", "there is no; not any", "of these none is due", "None is returned"),
        (
            "(?<!there )(?:is|are) no(?! (?:longer|more|less|later|way|need))",
            "is not a; there is no",
            "this is no URL",
            "there is no URL, and it is no longer used",
        ),
        (
            "where (?:there (?:is|are)|it (?:has|does|may)|none|nobody|somebody|one (?:is|has))",
            "if",
            "where there is one",
            "the file where the claim is",
        ),
        ("becomes? of|became of", "happens to; the outcome of", "what became of it", "it becomes official"),
        ("(?:come|comes|came) for", "claim", "nobody has come for it", "it comes before"),
        (
            "brings? (?:it|them|(?:the|a|its) (?:row|job|task|stage)) on",
            "move on, continue",
            "who brings a row on",
            "brings it online",
        ),
        ("deeds?", "action", "a deed, not a state", "indeed"),
        ("births?|born", "created, creation", "a row is born", "a bearing"),
        ("sought", "searched", "text is not sought", "bought"),
        ("stands? (?:at|beside|on top|in(?! for))", "is", "it stands in a file", "stands for, stands in for"),
        ("let(?:s|ting)? go of", "release", "a row that was let go of", "let it go offline"),
        ("(?:the|a) worker's hands|its hands", "executor", "the worker's hands", "by hand"),
        ("off your hands", "do it for you", "take that off your hands", "hands off"),
        ("for want of", "without", "for want of a grant", "want of"),
        ("all is well", "no problem was found", "all is well", "all tests pass"),
        ("with(?:out a)? word of|that which", "with; what", "with word of it", "word of mouth"),
        ("as it were|needs must|the worse for|none the worse", "leave it out", "none the worse", "worse"),
        (
            "albeit|aught|ere|forthwith|hither|hitherto|lest|naught|nay|thence|thereof|therein|thither|unto|whence|wherein",
            "a word of today",
            "lest it fails",
            "there, where, here",
        ),
    )
)
