"""Words in any script, and ROUGE of them: identical texts score 1, disjoint ones 0, and what is between by hand."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from harness.scoring.fast_rouge import ROUGE_TYPES, score_rouge
from harness.scoring.overlap import split_words
from harness.scoring.repetition import repeats_itself
from harness.scoring.words import count_unspaced, count_without_words, find_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया"]),  # Hindi: vowel signs and virama are marks
        ("শুভ সকাল", ["শুভ", "সকাল"]),
        ("வணக்கம் உலகம்", ["வணக்கம்", "உலகம்"]),
        ("مرحبًا بالعالم، ١٢", ["مرحبًا", "بالعالم", "١٢"]),
        ("می‌خواهم", ["میخواهم"]),  # Persian: the joiner is not seen
        ("שָׁלוֹם עוֹלָם", ["שָׁלוֹם", "עוֹלָם"]),
        ("Das ist SCHÖN, Straße", ["das", "ist", "schön", "strasse"]),
        ("L’été d'Ali", ["l", "été", "d", "ali"]),
        ("Привет, МИР!", ["привет", "мир"]),
        ("ΣΟΦΟΣ σοφός", ["σοφοσ", "σοφόσ"]),  # a final sigma is a sigma
        ("한국어 텍스트", ["한국어", "텍스트"]),
        ("ཨོཾ་མ་ཎི", ["ཨོཾ", "མ", "ཎི"]),  # Tibetan: a mark stands between syllables
        ("ሰላም፡ዓለም", ["ሰላም", "ዓለም"]),  # Ethiopic: so does one between words
        ("今天天气", ["今", "天", "天", "气"]),
        ("GPT-4は良い。", ["gpt", "4", "は", "良", "い"]),
        ("東京タワーは333m", ["東", "京", "タ", "ワ", "ー", "は", "333m"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("កូន\u200bទៅ", ["កូ", "ន", "ទៅ"]),
        ("ສະບາຍ", ["ສ", "ະ", "ບ", "າ", "ຍ"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zero", "width"]),
        ("❤️ 👍🏽 — …", []),
        ("H₂O ½ ①", ["h₂o", "½", "①"]),
    ],
)
def test_words_of_many_scripts(text, words):
    assert find_words(text) == [unicodedata.normalize("NFC", word) for word in words]


TEXTS = {
    "Hindi": ("बिल्ली चटाई पर बैठी", "कुत्ता घर में सोया"),
    "Arabic": ("القطة جلست هنا", "كلب ينام بعيدا"),
    "Thai": ("แมวนอน", "หมูกิ"),
    "German": ("Über schöne Äcker", "ganz größer früh"),
    "Russian": ("кошка сидела тихо", "собака бежит домой"),
    "Chinese": ("今天很好", "我们不去"),
    "Japanese": ("猫は寝た", "犬が走る"),
    "Korean": ("고양이가 여기 있다", "개는 집에 간다"),
    "Khmer": ("ឆ្មាដេក", "កូនទៅ"),
    "Lao": ("ແມວ", "ຫົກ"),
    "Myanmar": ("ကြောင်", "ခွေး"),
    "Hebrew": ("שָׁלוֹם עוֹלָם טוֹב", "כֶּלֶב גָּדוֹל רָץ"),
    "Vietnamese": ("Tiếng Việt đẹp", "một nước lớn"),
    "Greek": ("Η γάτα κοιμάται", "ένας σκύλος τρέχει"),
    "Georgian": ("კატა ზის აქ", "ძაღლი მირბის შინ"),
    "Tamil": ("பூனை அங்கே உள்ளது", "நாய் வீட்டில் தூங்கும்"),
}


@pytest.mark.parametrize("language", TEXTS)
def test_the_same_text_scores_one_and_another_one_nothing(language):
    text, other = TEXTS[language]
    same, decomposed, shouted, disjoint = score_rouge(
        [text, unicodedata.normalize("NFD", text), text.upper(), other], [[text]] * 4
    )
    long = len(find_words(text)) > 1
    assert set(same.values()) == ({1.0} if long else {1.0, 0.0})
    assert same == decomposed == shouted
    assert set(disjoint.values()) == {0.0}


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        # 3 of 4 words in order: P 3/3, R 3/4 → 6/7; bigrams 1 of 2 and of 3 → 2/5.
        ("кошка сидела коврике", "кошка сидела на коврике", {"rouge1": 6 / 7, "rouge2": 2 / 5, "rougeL": 6 / 7}),
        # Characters 今 天 很 好 and 今 天 好: P 1, R 3/4; bigrams 今天 of 2 and 3.
        ("今天好", "今天很好", {"rouge1": 6 / 7, "rouge2": 2 / 5, "rougeL": 6 / 7}),
        # Clusters แ ม ว น อ น and น อ น แ ม ว: all shared, 3 of them in order; bigrams แม มว นอ อน of 5 each.
        ("แมวนอน", "นอนแมว", {"rouge1": 1.0, "rouge2": 4 / 5, "rougeL": 1 / 2}),
        ("बिल्ली बैठी", "बिल्ली घर पर बैठी", {"rouge1": 2 / 3, "rouge2": 0.0, "rougeL": 2 / 3}),
        # Words of ASCII letters are stemmed, wherever they stand.
        ("läuft walking", "läuft walked", {"rouge1": 1.0, "rouge2": 1.0, "rougeL": 1.0}),
        # A letter with an accent is one letter of its word: schon is another word.
        ("schon", "schön", {"rouge1": 0.0}),
        ("GPT-4は悪い", "GPT-4は良い", {"rouge1": 4 / 5, "rouge2": 1 / 2, "rougeL": 4 / 5}),
    ],
)
def test_values_worked_out_by_hand(prediction, reference, expected):
    (row,) = score_rouge([prediction], [[reference]])
    assert {name: row[name] for name in expected} == pytest.approx(expected)


def test_lsum_takes_lines_as_sentences_in_any_script():
    (row,) = score_rouge(["一二\nтри четыре"], [["три четыре\n一二"]])
    assert row["rougeL"] == pytest.approx(0.5)
    assert row["rougeLsum"] == pytest.approx(1)


ASCII = st.text(st.characters(max_codepoint=127), max_size=60)
SENTENCES = st.lists(st.sampled_from(["Running", "runs.", "dogs' flies;\nU.S.", "x_1", "3.5", "a", "generalizations"]))


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(ASCII, SENTENCES.map(" ".join)),
    st.lists(st.one_of(ASCII, SENTENCES.map(" ".join)), min_size=1, max_size=3),
)
def test_ascii_texts_score_as_rouge_score_does(prediction, references):
    theirs = rouge_scorer.RougeScorer(list(ROUGE_TYPES), use_stemmer=True).score_multi(references, prediction)
    (ours,) = score_rouge([prediction], [references])
    assert ours == {name: theirs[name].fmeasure for name in ROUGE_TYPES}


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_the_same_as_itself(text):
    (row,) = score_rouge([unicodedata.normalize("NFD", text)], [[text]])
    assert row["rouge1"] == (1.0 if find_words(text) else 0.0)


def test_what_has_no_words_and_what_has_no_blanks_is_counted():
    assert count_without_words([("👍",), ("👍", "ok"), ("!?",), ("да",)]) == 2
    assert count_unspaced([("今天很好",), ("Das ist gut",), ("GPT",), ("ดีมาก OK",), ("👍",)]) == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("«Да», — сказал он.", ["да", "сказал", "он"]),
        ("The 今天，很好。", ["今", "天", "很", "好"]),
        ("l’été", ["lété"]),
        ("❤️", ["❤"]),
    ],
)
def test_exact_match_and_token_f1_compare_words_of_any_script(text, words):
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("我不知道我不知道我不知道我不知道我不知道", True),
        ("李先生说他今天不来。王女士告诉李先生，会议改到明天。李先生同意了。", False),
        ("ครับ" * 8, True),
    ],
)
def test_texts_without_blanks_can_repeat_themselves(text, expected):
    assert repeats_itself(text) is expected
