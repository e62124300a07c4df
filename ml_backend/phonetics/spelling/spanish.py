# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Spanish, as in Castile; the lips of American Spanish are the same.

Source: Real Academia Española, "Ortografía de la lengua española", chapter I; Hualde 2005, "The Sounds of
Spanish".
"""

from .rules import Spelling

_TABLE = """
    ch = tʃ
    ll = ʎ
    ñ = ɲ
    qu = k
    gu(?=[eiéí]) = ɡ
    gü = ɡ w
    c(?=[eiéí]) = θ
    c = k
    z = θ
    g(?=[eiéí]) = x
    j = x
    h =
    ^[bv] = b
    (?<=[mn])[bv] = b
    [bv] = β
    ^d = d
    (?<=[nl])d = d
    d = ð
    ^g = ɡ
    (?<=n)g = ɡ
    g = ɣ
    rr = r
    ^r = r
    (?<=[nls])r = r
    r = ɾ
    x = k s
    n(?=[ckgqj]) = ŋ
    n(?=[bvp]) = m
    n = n
    f = f
    k = k
    l = l
    m = m
    p = p
    s = s
    t = t
    w = w
    ^y$ = i
    y$ = i
    y = ʝ
    u(?=[aeoáéóií]) = w
    ü = u
    i(?=[aeouáéóú]) = j
    [aá] = a
    [eé] = e
    [ií] = i
    [oó] = o
    [uú] = u
"""
SPANISH = Spelling("Spanish", "aeiouáéíóúü", _TABLE, {"méxico": "m e x i k o"})
