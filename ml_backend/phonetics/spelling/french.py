# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""French, without liaison.

Sources: Catach 1980, "L'orthographe française"; Fouché 1959, "Traité de prononciation française".
"""

from .rules import Spelling

_TABLE = """
    eaux? = o
    ts?$ =
    ds?$ =
    ps?$ =
    [sxz]$ =
    (?<=[nr])g$ =
    e(?=$|s$) =
    er$ = e
    ez$ = e
    et$ = ɛ
    oin(?![{v}n]) = w ɛ̃
    (?<=[ié])en(?=$|s$) = ɛ̃
    [ae]?i[nm](?![{v}nm]) = ɛ̃
    y[nm](?![{v}nm]) = ɛ̃
    [ae][nm](?![{v}nm]) = ɑ̃
    emm = ɑ̃ m
    o[nm](?![{v}nm]) = ɔ̃
    u[nm](?![{v}nm]) = œ̃
    ouill = u j
    euill? = œ j
    aill? = a j
    eill? = ɛ j
    (?<={C})ill(?={V}) = i j
    ouï = w i
    ou(?=[aeéiè]) = w
    o[uùû] = u
    oy(?={V}) = w a j
    o[iî] = w a
    [œe]u(?=$|[tsx]+$|se) = ø
    œu = œ
    œ = e
    eu = œ
    ay(?={V}) = ɛ j
    a[iî] = ɛ
    e[iî] = ɛ
    au = o
    ch = ʃ
    ph = f
    th = t
    gn = ɲ
    qu = k
    q = k
    gu(?=[eiéèêyî]) = ɡ
    ge(?=[aouâô]) = ʒ
    g(?=[eiéèêyî]) = ʒ
    gg? = ɡ
    ç = s
    cc(?=[eiéè]) = k s
    sc(?=[eiéèêy]) = s
    c(?=[eiéèêyîœ]) = s
    cc? = k
    j = ʒ
    ti(?=on|el) = s j
    ss = s
    (?<={V})s(?={V}) = z
    s = s
    ex(?={V}) = ɛ ɡ z
    x = k s
    h =
    bb? = b
    dd? = d
    ff? = f
    k = k
    ll? = l
    mm? = m
    nn? = n
    pp? = p
    rr? = ʁ
    tt? = t
    v = v
    w = w
    z = z
    é = e
    [èêë] = ɛ
    e(?=ss|{C}{C}(?<![lr])) = ɛ
    e(?=[cflr]$|x) = ɛ
    e(?=(.)\\1) = ɛ
    e = ə
    i(?={V}) = j
    [iîï] = i
    y(?={V}) = j
    y = i
    u(?=i) = ɥ
    [uùûü] = y
    [aàâ] = a
    ô = o
    o(?=$|[tsp]s?$|se) = o
    o = ɔ
""".replace("{v}", "aeiouyhàâéèêëîïôùûœ")
FRENCH = Spelling(
    "French",
    "aeiouyàâéèêëîïôùûüœ",
    _TABLE,
    {
        "les": "l e", "des": "d e", "mes": "m e", "tes": "t e", "ses": "s e", "ces": "s e", "et": "e",
        "est": "ɛ", "es": "ɛ", "ai": "e", "mer": "m ɛ ʁ", "fer": "f ɛ ʁ", "cher": "ʃ ɛ ʁ", "hier": "j ɛ ʁ",
        "hiver": "i v ɛ ʁ", "ville": "v i l", "mille": "m i l", "tranquille": "t ʁ ɑ̃ k i l",
        "femme": "f a m", "monsieur": "m ə s j ø", "oui": "w i", "fils": "f i s", "sept": "s ɛ t",
        "huit": "ɥ i t", "six": "s i s", "dix": "d i s", "neuf": "n œ f", "ils": "i l", "sens": "s ɑ̃ s",
        "aujourd'hui": "o ʒ u ʁ d ɥ i", "second": "s ə ɡ ɔ̃", "eu": "y", "pied": "p j e", "août": "u t",
        "tous": "t u s", "sont": "s ɔ̃", "le": "l ə", "je": "ʒ ə", "de": "d ə", "ce": "s ə", "me": "m ə",
        "te": "t ə", "se": "s ə", "ne": "n ə", "que": "k ə",
    },
    ("c", "d", "j", "l", "m", "n", "s", "t", "qu", "jusqu", "lorsqu", "puisqu"),
)  # fmt: skip
