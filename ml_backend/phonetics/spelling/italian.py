# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Italian. Which e and o are open is not written, so both count as closed where no accent tells.

Sources: Serianni 1989, "Grammatica italiana", chapter I; Canepari, "Dizionario di pronuncia italiana".
"""

from .rules import Spelling

_TABLE = """
    gli(?=[aeouàèéòù]) = ʎ
    gli = ʎ i
    gn = ɲ
    sci(?=[aouàòù]) = ʃ
    sc(?=[eièéì]) = ʃ
    c?ch = k
    g?gh = ɡ
    c?ci(?=[aouàòù]) = tʃ
    c?c(?=[eièéì]) = tʃ
    c?qu = k w
    cc = k
    c = k
    g?gi(?=[aouàòù]) = dʒ
    g?g(?=[eièéì]) = dʒ
    gg = ɡ
    g = ɡ
    h =
    ss = s
    (?<={V})s(?={V}) = z
    s(?=[bdgvlmnr]) = z
    s = s
    zz = ts
    ^z = dz
    z = ts
    n(?=[cgq]h?[aouàòùlr]|[cg]h|qu) = ŋ
    bb? = b
    dd? = d
    ff? = f
    k = k
    ll? = l
    mm? = m
    nn? = n
    pp? = p
    rr? = r
    tt? = t
    vv? = v
    j = j
    w = v
    x = k s
    y = i
    i(?=[aeouàèéòù]) = j
    u(?=[aeioàèéòì]) = w
    [aà] = a
    è = ɛ
    [eé] = e
    [iìí] = i
    ò = ɔ
    [oó] = o
    [uùú] = u
"""
ITALIAN = Spelling(
    "Italian",
    "aeiouàèéìíòóùú",
    _TABLE,
    {"zia": "ts i a", "mio": "m i o", "mia": "m i a", "zio": "ts i o", "mezzo": "m ɛ dz o",
     "scienza": "ʃ ɛ n ts a", "farmacia": "f a r m a tʃ i a", "casa": "k a z a"},
)  # fmt: skip
