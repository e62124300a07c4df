# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Portuguese, as in Brazil.

Sources: "Acordo Ortográfico da Língua Portuguesa" (1990), bases I to VI; Barbosa and Albano 2004, "Brazilian
Portuguese", Journal of the International Phonetic Association 34.
"""

from .rules import Spelling

_TABLE = """
    nh = ɲ
    lh = ʎ
    ch = ʃ
    rr = ʁ
    ^r = ʁ
    (?<=[nls])r = ʁ
    r$ = ʁ
    r = ɾ
    ss = s
    sc(?=[eiéêí]) = s
    ç = s
    c(?=[eiéêí]) = s
    c = k
    qu(?=[eiéêí]) = k
    qu = k w
    gu(?=[eiéêí]) = ɡ
    gu(?=[aáo]) = ɡ w
    g(?=[eiéêí]) = ʒ
    g = ɡ
    j = ʒ
    ^ex(?={V}) = e z
    x = ʃ
    (?<={V})s(?={V}) = z
    s(?=[bdgvmnlr]) = z
    s = s
    z$ = s
    z = z
    h =
    ão = ɐ̃ w̃
    ãe = ɐ̃ j̃
    õe = õ j̃
    am$ = ɐ̃ w̃
    [eé]m$ = ẽ j̃
    [eé]ns$ = ẽ j̃ s
    ã = ɐ̃
    õ = õ
    [aâá][mn](?={C}(?<!h)) = ɐ̃
    [eêé][mn](?={C}(?<!h)) = ẽ
    [ií][mn](?={C}(?<!h)|$) = ĩ
    [oôó][mn](?={C}(?<!h)|$) = õ
    [uú][mn](?={C}(?<!h)|$) = ũ
    l(?=$|{C}) = w
    t(?=[ií]|e$|es$) = tʃ
    d(?=[ií]|e$|es$) = dʒ
    b = b
    d = d
    f = f
    k = k
    l = l
    m = m
    n = n
    p = p
    q = k
    t = t
    v = v
    w = w
    y = i
    e$ = i
    e(?=s$) = i
    o$ = u
    o(?=s$) = u
    a$ = ɐ
    a(?=s$) = ɐ
    ou = o
    (?<=[aeoáéêóô])i = j
    (?<=[aeiáéêí])u = w
    i(?=[aeo]) = j
    á = a
    â = ɐ
    à = a
    é = ɛ
    ê = e
    ó = ɔ
    ô = o
    a = a
    e = e
    [ií] = i
    o = o
    [uúü] = u
"""
PORTUGUESE = Spelling(
    "Portuguese",
    "aeiouáàâãéêíóôõúü",
    _TABLE,
    {"muito": "m ũ j̃ t u", "e": "i", "o": "u", "os": "u s", "a": "a", "as": "a s", "dia": "dʒ i ɐ",
     "próximo": "p ɾ ɔ s i m u", "táxi": "t a k s i", "rio": "ʁ i u", "tio": "tʃ i u"},
)  # fmt: skip
