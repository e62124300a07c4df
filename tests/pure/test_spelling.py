# ruff: noqa: RUF001 - phonetic symbols look like Latin letters
"""Words of five languages against their known pronunciation; length and stress are not written."""

import numpy as np
import pytest

from ml_backend.audio.log_mel import SAMPLE_RATE
from ml_backend.errors import UserError
from ml_backend.phonetics.align_transcript import align_transcript, spelled_words
from ml_backend.phonetics.spelling.languages import LANGUAGES, spelling_of

KNOWN = {
    "de": """
        Haus=haʊs ich=ɪç Buch=bux Mädchen=mɛtçən schön=ʃøn Straße=ʃtʁasə Zeit=tsaɪt Vogel=foɡəl
        deutsch=dɔʏtʃ Wasser=vasɐ Tag=tak König=kønɪç sprechen=ʃpʁɛçən jung=jʊŋ müssen=mʏsən Liebe=libə
        sieben=zibən nicht=nɪçt Apfel=apfəl Frau=fʁaʊ fünf=fʏnf Name=namə
    """,
    "fr": """
        bonjour=bɔ̃ʒuʁ eau=o maison=mɛzɔ̃ chat=ʃa enfant=ɑ̃fɑ̃ fille=fij loin=lwɛ̃ femme=fam
        homme=ɔm oiseau=wazo qu'il=kil c'est=sɛ français=fʁɑ̃sɛ vin=vɛ̃ deux=dø heure=œʁ parler=paʁle
        nuit=nɥi grande=ɡʁɑ̃d bien=bjɛ̃ montagne=mɔ̃taɲ soleil=sɔlɛj guerre=ɡɛʁ
    """,
    "es": """
        hola=ola perro=pero pero=peɾo niño=niɲo calle=kaʎe queso=keso guitarra=ɡitara cielo=θjelo
        jamón=xamon gente=xente agua=aɣwa vino=bino lobo=loβo zapato=θapato cinco=θiŋko rojo=roxo
        muchacho=mutʃatʃo pingüino=piŋɡwino
    """,
    "it": """
        ciao=tʃao gatto=ɡato chiesa=kjeza gelato=dʒelato famiglia=famiʎa gnocchi=ɲoki scena=ʃena
        sciarpa=ʃarpa acqua=akwa bambino=bambino perché=perke giorno=dʒorno pizza=pitsa zero=dzero
        sbaglio=zbaʎo anche=aŋke città=tʃita l'acqua=lakwa
    """,
    "pt": """
        não=nɐ̃w̃ mãe=mɐ̃j̃ filho=fiʎu senhora=seɲoɾɐ chuva=ʃuvɐ carro=kaʁu caro=kaɾu casa=kazɐ
        noite=nojtʃi cidade=sidadʒi Brasil=bɾaziw bom=bõ bem=bẽj̃ gente=ʒẽtʃi queijo=kejʒu água=aɡwɐ
        sempre=sẽpɾi exame=ezami
    """,
}


@pytest.mark.parametrize("language", KNOWN)
def test_words_are_read_as_they_are_known(language):
    spelling = spelling_of(language)
    pairs = [pair.split("=") for pair in KNOWN[language].split()]
    wrong = [
        (word, "".join(spelling.sounds(word)), known)
        for word, known in pairs
        if "".join(spelling.sounds(word)) != known
    ]
    assert len(pairs) >= 15 and wrong == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_sound_of_the_tables_is_a_phone(language):
    assert spelling_of(language).unknown_sounds() == set()
    assert spelling_of(language).pronunciation("xyz") != ""


def test_a_text_is_split_into_words_and_digits_are_refused():
    assert spelled_words("L\u2019été, peut-être\u00a0: déjà!", "x") == ["l\u2019été", "peut-être", "déjà"]
    with pytest.raises(UserError, match="a number in digits, 7"):
        spelled_words("um 7 Uhr", "x")
    with pytest.raises(UserError, match="no language whose spelling is known"):
        spelling_of("la")


def test_a_recording_is_aligned_by_the_spelling_of_another_language():
    samples = np.zeros(SAMPLE_RATE, np.float32)
    with pytest.raises(UserError, match="has no words"):
        align_transcript(samples, "...", "x", "de")
    with pytest.raises(UserError, match="does not fit"):
        align_transcript(samples, "Guten Morgen, liebe Leute, wie geht es euch heute", "x", "de")
