"""Sentences in German, French, Spanish, Italian and Portuguese for the synthesisers, public domain."""

import numpy as np

_PARTS = {
    "de": (
        "meine Mutter|unser Bruder|der alte Mann|eine mutige Frau|Bob|der Apotheker|jeder Bürger|ein Fahrer"
        "|ihr Nachbar|Philipp|Viktoria|die ganze Familie|niemand|der blaue Vogel|eine kleine Maus"
        "|der Professor|mein bester Freund|der Bäcker vom Dorf|Emma|der Kapitän|euer Vater|die Königin",
        "kaufte|machte|bewegte|fand|malte|vergaß|brachte|hörte|mochte|öffnete|baute|wollte|verlor|bemerkte"
        "|übte|prüfte|wusch|warf|empfing|bewunderte|füllte|probierte",
        "eine Karte vom Moor|die kaputte Pumpe|warmes Brot|einen großen Regenschirm|fünf weiße Pferde"
        "|meinen liebsten Film|einen Apfelkuchen|die leere Flasche|ein Boot aus Papier|den Tisch aus Holz"
        "|frischen Fisch und Gemüse|ein Paar braune Stiefel|die schöne Blume|böse Wölfe|den Brief über Musik"
        "|viele bunte Vögel|das grüne Fahrrad|zwei gute Bücher|süße Pflaumen|einen Pullover aus Wolle"
        "|die Höhle am Fluss|neue Möbel für die Küche",
        "vor dem Frühstück|am Montag|im Februar|am Meer|mit beiden Händen|nach einer Weile|zum ersten Mal"
        "|über den Wolken|ohne ein Wort|um halb sieben|unter der Brücke|im Herbst|ganz langsam"
        "|jeden Abend|bei der Kirche|hinter dem Haus|im Sommer|auf der ganzen Welt",
        "also|vielleicht|natürlich|oh nein|übrigens|bitte|manchmal|hallo|ja|leider|zuerst|vor allem",
        "aber",
    ),
    "fr": (
        "ma mère|notre petit frère|le vieux monsieur|une femme brave|Bob|le pharmacien|chaque membre"
        "|le chauffeur du bus|leur voisin|Philippe|Victoria|toute la famille|personne d'autre|l'oiseau bleu"
        "|une petite souris|le professeur|mon meilleur ami|le boulanger du village|Emma|le capitaine"
        "|votre père|la reine",
        "achetait|fabriquait|bougeait|trouvait|peignait|oubliait|apportait|écoutait|aimait|ouvrait"
        "|poussait|voulait|perdait|observait|montrait|prouvait|lavait|jetait|buvait|admirait|remplissait"
        "|goûtait",
        "une carte de la vallée|la pompe cassée|du pain chaud|un grand parapluie|cinq chevaux blancs"
        "|mon film préféré|une tarte aux pommes|la bouteille vide|un bateau en papier|la table en bois"
        "|du poisson et des légumes|une paire de bottes brunes|la belle fleur|deux bons livres"
        "|un bouquet de violettes|le pont du moulin|un vieux meuble|la lumière du phare|beaucoup de fromage"
        "|un peu de beurre|la voiture jaune|un œuf du jour",
        "avant midi|lundi matin|en février|au bord de la mer|avec les deux mains|un peu plus tard"
        "|pour la première fois|sous la pluie|sans un mot|vers six heures et demie|sous le pont|en automne"
        "|tout doucement|chaque soir|près de l'église|derrière la maison|pendant l'été|partout dans le monde",
        "alors|peut-être|bien sûr|oh non|au fait|s'il vous plaît|parfois|bonjour|oui|d'abord|surtout|enfin",
        "mais",
    ),
    "es": (
        "mi madre|nuestro hermano|el hombre viejo|una mujer valiente|Pablo|el médico|cada miembro"
        "|el conductor del autobús|su vecino|Felipe|Victoria|toda la familia|nadie|el pájaro azul"
        "|una pequeña mosca|el profesor|mi mejor amigo|el panadero del pueblo|Emma|el capitán|vuestro padre"
        "|la reina",
        "compraba|movía|buscaba|encontraba|pintaba|olvidaba|llevaba|escuchaba|amaba|abría|empujaba|quería"
        "|perdía|miraba|probaba|lavaba|bebía|formaba|vendía|ofrecía|preparaba|recibía",
        "un mapa del valle|la bomba rota|un poco de pan|un paraguas muy grande|cinco caballos blancos"
        "|mi película favorita|una tarta de manzana|la botella vacía|un barco de papel|la mesa de madera"
        "|pescado fresco y verduras|un par de botas|la flor amarilla|dos buenos libros|el puente viejo"
        "|muchos muebles nuevos|la voz del río|una fotografía de la familia|el vaso de vino|un abrigo violeta"
        "|la lámpara del piano|una bufanda suave",
        "por la mañana|el lunes|en febrero|junto al mar|con ambas manos|un poco después|por primera vez"
        "|bajo la lluvia|sin una palabra|a las seis y media|debajo del puente|en otoño|muy despacio"
        "|cada tarde|cerca de la iglesia|detrás de la casa|durante el verano|por todo el mundo",
        "bueno|quizás|por supuesto|oh no|por favor|a veces|hola|sí|primero|sobre todo|además|por fin",
        "pero",
    ),
    "it": (
        "mia madre|nostro fratello|il vecchio|una donna brava|Paolo|il farmacista|ogni membro"
        "|il conducente del bus|il loro vicino|Filippo|Vittoria|tutta la famiglia|nessuno|l'uccello blu"
        "|una piccola mosca|il professore|il mio migliore amico|il panettiere del villaggio|Emma"
        "|il capitano|vostro padre|la regina",
        "comprava|muoveva|cercava|trovava|dipingeva|dimenticava|portava|ascoltava|amava|apriva|spingeva"
        "|voleva|perdeva|guardava|provava|lavava|beveva|formava|vendeva|offriva|preparava|riceveva",
        "una mappa della valle|la pompa rotta|un po' di pane|un ombrello molto grande|cinque cavalli bianchi"
        "|il mio film preferito|una torta di mele|la bottiglia vuota|una barca di carta|il tavolo di legno"
        "|pesce fresco e verdure|un paio di stivali|il fiore giallo|due buoni libri|il ponte vecchio"
        "|molti mobili nuovi|la voce del fiume|una fotografia della famiglia|il bicchiere di vino"
        "|un cappotto viola|la lampada del pianoforte|una sciarpa morbida",
        "prima di colazione|lunedì mattina|a febbraio|vicino al mare|con due mani|un po' dopo"
        "|per la prima volta|sotto la pioggia|senza parole|alle sei e mezza|sotto il ponte|in autunno"
        "|molto piano|ogni sera|vicino alla chiesa|dietro la casa|durante l'estate|in tutto il mondo",
        "bene|forse|certo|oh no|per favore|a volte|buongiorno|sì|prima|soprattutto|inoltre|infine",
        "ma",
    ),
    "pt": (
        "minha mãe|nosso irmão|o homem velho|uma mulher brava|Paulo|o farmacêutico|cada membro"
        "|o motorista do ônibus|o vizinho|Felipe|Vitória|toda a família|ninguém|o pássaro azul"
        "|uma pequena mosca|o professor|meu melhor amigo|o padeiro da vila|Ema|o capitão|vosso pai|a rainha",
        "comprava|movia|buscava|encontrava|pintava|esquecia|levava|ouvia|amava|abria|empurrava|queria|perdia"
        "|olhava|provava|lavava|bebia|formava|vendia|oferecia|preparava|recebia",
        "um mapa do vale|a bomba velha|um pouco de pão|um guarda-chuva muito grande|cinco cavalos brancos"
        "|meu filme favorito|uma torta de maçã|a garrafa vazia|um barco de papel|a mesa de madeira"
        "|peixe fresco e verduras|um par de botas|a flor amarela|dois bons livros|a ponte velha"
        "|muitos móveis novos|a voz do rio|uma fotografia da família|o copo de vinho|um casaco roxo"
        "|a lâmpada do piano|uma blusa macia",
        "de manhã|na segunda-feira|em fevereiro|perto do mar|com as duas mãos|um pouco depois"
        "|pela primeira vez|debaixo da chuva|sem uma palavra|às seis e meia|debaixo da ponte|no outono"
        "|bem devagar|toda noite|perto da igreja|atrás da casa|durante o verão|por todo o mundo",
        "bom|talvez|com certeza|oh não|por favor|às vezes|olá|sim|primeiro|sobretudo|além disso|por fim",
        "mas",
    ),
}  # fmt: skip
FOREIGN_LANGUAGES = tuple(_PARTS)
"""Languages that have sentences, by their code of ISO 639-1."""


def foreign_sentence(rng: np.random.Generator, language: str) -> str:
    """Returns one sentence of about 4 to 24 words.

    Args:
        rng: decides everything.
        language: one of FOREIGN_LANGUAGES.
    """
    subjects, verbs, objects, adverbs, openers = (part.split("|") for part in _PARTS[language][:5])

    def pick(options: list[str]) -> str:
        return options[int(rng.integers(len(options)))]

    def clause() -> str:
        return f"{pick(subjects)} {pick(verbs)} {pick(objects)}"

    sentence = clause()
    if rng.random() < 0.6:
        sentence += f" {pick(adverbs)}"
    if rng.random() < 0.3:
        sentence = f"{pick(openers)}, {sentence}"
    if rng.random() < 0.25:
        sentence += f", {_PARTS[language][5]} {clause()}"
    return sentence + pick([".", ".", ".", "?", "!"])
