"""Verbs as they should stand, where the word that tells the time comes after them: what reading backwards is for.

"she stop by yesterday" becomes "she stopped by yesterday", "she stop by tomorrow" becomes "she will stop by tomorrow":
at the verb, only what follows it says which. The tag of a word is the word as it should be.
"""

import random

import ostinato as ost

WHO = ["I", "you", "we", "they", "she", "he", "my sister", "the neighbours", "Anna", "the children", "our teacher"]
ONE = {"she", "he", "my sister", "Anna", "our teacher"}  # who takes an s
VERBS = {
    "stop": "stopped", "walk": "walked", "call": "called", "play": "played", "cook": "cooked", "help": "helped",
    "arrive": "arrived", "dance": "danced", "study": "studied", "carry": "carried", "go": "went", "come": "came",
    "write": "wrote", "sing": "sang", "eat": "ate", "sleep": "slept", "run": "ran", "drive": "drove", "read": "read",
}  # fmt: skip
REST = ["", "by", "home", "in the garden", "with a friend", "at the station", "near the old bridge", "for an hour"]
PAST = ["yesterday", "last week", "two days ago", "on Monday morning last month", "in 1999"]
NOW = ["every day", "on Sundays as a rule", "very often", "most evenings", "whenever it rains"]
LATER = ["tomorrow", "next week", "in two days", "on the first day of next month"]


def third(verb):
    """stop -> stops, go -> goes, study -> studies."""
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + ("es" if verb.endswith(("o", "ch", "sh", "s", "x")) else "s")


def sentence(draw):
    """Words as a learner writes them, and as they should be."""
    who, verb, rest = draw.choice(WHO), draw.choice(list(VERBS)), draw.choice(REST)
    when, right = draw.choice(
        [(PAST, VERBS[verb]), (NOW, third(verb) if who in ONE else verb), (LATER, f"will {verb}")]
    )
    before, after = who.split(), [*rest.split(), *draw.choice(when).split()]
    return [*before, verb, *after], [*before, right, *after]


def sentences(count, seed):
    """So many different ones, (words, tags)."""
    draw, found = random.Random(seed), {}
    while len(found) < count:
        words, right = sentence(draw)
        found[tuple(words)] = right
    return [list(words) for words in found], list(found.values())


def verbs_right(tagger, words, tags):
    """The share of verbs that are put right."""
    pairs = [
        (guess == right, word in VERBS)
        for row, told, there in zip(words, tagger.predict(words), tags, strict=True)
        for word, guess, right in zip(row, told, there, strict=True)
    ]
    return sum(hit for hit, verb in pairs if verb) / sum(verb for _, verb in pairs)


def main(count=3000, epochs=None):
    words, tags = sentences(count, seed=0)
    cut = count * 4 // 5
    found = {}
    for both in (True, False):
        tagger = ost.Tagger(bidirectional=both, epochs=epochs, seed=1)
        tagger.fit((words[:cut], tags[:cut]))
        found[both] = verbs_right(tagger, words[cut:], tags[cut:])
        print(f"{'both directions' if both else 'forwards alone'}: {found[both]:.1%} of the verbs right")
        for when in ("yesterday", "every day", "tomorrow"):
            asked = ["she", "stop", "by", *when.split()]
            print("  ", *asked, "->", *tagger.predict(asked))
    return found[True], found[False]


if __name__ == "__main__":
    main()
