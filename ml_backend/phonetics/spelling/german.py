# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""German, as in the standard pronunciation.

Vowels before one consonant and another vowel, before h and at the end are tense, before more consonants lax.

Sources: Rat für deutsche Rechtschreibung, "Amtliches Regelwerk", part A; Duden, "Das Aussprachewörterbuch".
"""

from .rules import Spelling

_TABLE = """
    tsch = tʃ
    sch = ʃ
    ^ch(?=[aoulr]) = k
    chs(?={V}|$|t) = k s
    (?<=[aou])ch = x
    ch = ç
    ck = k
    ph = f
    th = t
    dt = t
    qu = k v
    pf = pf
    tz = ts
    ^st = ʃ t
    ^sp = ʃ p
    ss = s
    ß = s
    ng = ŋ
    n(?=k) = ŋ
    ti(?=on) = ts j
    (?<={V})s(?={V}) = z
    ^s(?={V}) = z
    (?<=[lmnr])s(?={V}) = z
    s = s
    bb = b
    dd = d
    ff = f
    gg = ɡ
    kk = k
    ll = l
    mm = m
    nn = n
    pp = p
    rr = ʁ
    tt = t
    ig$ = ɪ ç
    b(?=$|[st]) = p
    d(?=$|s|chen) = t
    g(?=$|[st]) = k
    b = b
    d = d
    g = ɡ
    f = f
    k = k
    l = l
    m = m
    n = n
    p = p
    t = t
    v = f
    w = v
    z = ts
    j = j
    x = k s
    c(?=[eiäy]) = ts
    c = k
    q = k
    er$ = ɐ
    ern$ = ɐ n
    ers$ = ɐ s
    (?<={V})r(?=$|{C}) = ɐ
    r = ʁ
    ie(?=h|{C}|$) = i
    [ea][iy] = aɪ
    [eä]u = ɔʏ
    au = aʊ
    ee = e
    aa = a
    oo = o
    eh(?={C}|$) = e
    ih(?={C}|$) = i
    oh(?={C}|$) = o
    uh(?={C}|$) = u
    äh(?={C}|$) = ɛ
    öh(?={C}|$) = ø
    üh(?={C}|$) = y
    ah(?={C}|$) = a
    ^be(?={C}{V}) = b ə
    (?<=.)e(?=[nlm]?$|[nlm]s$|st$) = ə
    e(?={C}?{V}|h|{C}$) = e
    e = ɛ
    i(?={C}{V}|h|$) = i
    i = ɪ
    o(?={C}?{V}|h|{C}$|$) = o
    o = ɔ
    u(?={C}?{V}|h|{C}$|$|ch$|ß) = u
    u = ʊ
    ö(?={C}?{V}|h|{C}$|$|ß) = ø
    ö = œ
    [üy](?={C}?{V}|h|{C}$|$|ß) = y
    [üy] = ʏ
    ä = ɛ
    a = a
    (?<={V})h =
    h = h
"""
GERMAN = Spelling(
    "German",
    "aeiouyäöü",
    _TABLE,
    {
        "das": "d a s", "es": "ɛ s", "des": "d ɛ s", "um": "ʊ m", "ob": "ɔ p", "von": "f ɔ n",
        "zum": "ts ʊ m", "weg": "v ɛ k", "bin": "b ɪ n", "hat": "h a t", "vom": "f ɔ m", "en": "ɛ n",
        "er": "e ɐ", "der": "d e ɐ", "wer": "v e ɐ", "mehr": "m e ɐ", "sehr": "z e ɐ", "her": "h e ɐ",
        "wir": "v i ɐ", "mir": "m i ɐ", "dir": "d i ɐ", "vier": "f i ɐ",
        "herr": "h ɛ ɐ", "und": "ʊ n t", "chef": "ʃ ɛ f", "sie": "z i", "wie": "v i",
        "museum": "m u z e ʊ m", "november": "n o v ɛ m b ɐ", "vase": "v a z ə", "klavier": "k l a v i ɐ",
        "den": "d e n", "dem": "d e m", "wen": "v e n", "wem": "v e m", "gern": "ɡ ɛ ʁ n",
        "euch": "ɔʏ ç", "plus": "p l ʊ s", "bus": "b ʊ s", "video": "v i d e o",
    },
)  # fmt: skip
