"""The values that fill the slots. A vocabulary has words for every split, for training only and for test only, so
that a model which learns the words by heart instead of copying them does badly on the test split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.tasks.embedded.script import Derive


@dataclass(frozen=True)
class Vocabulary:
    """Values of one kind. Validation draws from the same values as training."""

    shared: tuple[str, ...]
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    def values(self, split: str) -> tuple[str, ...]:
        """The values that a split may use; pre-training meets all the words, as a pre-trained model has."""
        if split == "test":
            return self.shared + self.test
        if split == "pretraining":
            return self.shared + self.train + self.test
        return self.shared + self.train


def _words(shared: str, train: str = "", test: str = "") -> Vocabulary:
    return Vocabulary(*(tuple(part.split(", ")) if part else () for part in (shared, train, test)))


VOCABULARIES: Mapping[str, Vocabulary] = {
    "first_name": _words(
        "Anna, Ben, Carla, David, Emma, Frank, Grace, Henry, Ines, Jack, Kate, Leo, Maria, Nora, Oscar, Paula",
        "Rita, Sam, Tina, Victor, Wendy, Zoe, Alan, Bella, Colin, Diana, Eric, Fiona",
        "Marcus, Helen, Ivan, Julia, Kevin, Laura, Martin, Olga, Peter, Rosa, Simon, Thea",
    ),
    "surname": _words(
        "Miller, Brown, Carter, Evans, Foster, Green, Harris, Jones, Keller, Lopez, Morgan, Novak",
        "Parker, Quinn, Roberts, Schmidt, Turner, Walker, Young, Baker, Cooper, Dixon",
        "Ellis, Fischer, Grant, Hughes, Irving, Jensen, Larsen, Mason, Nelson, Porter",
    ),
    "restaurant": _words(
        "the Blue Door, the Old Mill, Casa Luna, the Garden House, Golden Bowl, the Corner Table",
        "the Red Lantern, Villa Verde, the Copper Pot, the Lemon Tree",
        "the Silver Fork, Porto Bello, the Stone Oven, the Green Olive",
    ),
    "city": _words(
        "Boston, London, Madrid, Berlin, Rome, Dublin, Vienna, Lisbon, Chicago, Oslo",
        "Paris, Prague, Denver, Geneva, Bristol, Hamburg",
        "Athens, Milan, Seattle, Warsaw, Leeds, Toronto",
    ),
    "place": _words(
        "the post office, the museum, the town hall, the central library, the bus station, the market hall",
        "the art gallery, the city pool, the old theater, the hospital",
        "the stadium, the science center, the opera house, the zoo",
    ),
    "street": _words(
        "Park Street, Mill Lane, River Road, Hill Street, King Street, Station Road, Church Lane",
        "Oak Avenue, Bridge Street, Garden Road, Market Street",
        "Rose Lane, Castle Street, Harbor Road, Maple Avenue",
    ),
    "weekday": _words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "hour": _words(
        "9 am, 10 am, 11 am, 1 pm, 2 pm, 3 pm, 4 pm, 5 pm, 6 pm, 7 pm, 8 pm",
        "9:30 am, 2:30 pm, 4:15 pm, 6:30 pm",
        "10:30 am, 3:30 pm, 5:45 pm, 7:15 pm",
    ),
    "count": _words("two, three, four, five, six, eight"),
    "pair": _words("two, three"),
    "unit_price": _words("$5, $10, $20, $30, $50"),
    "price": _words("$15, $25, $35, $40, $60, $80, $90, $120, $150", "$45, $75, $110", "$55, $85, $130"),
    "minutes": _words("ten minutes, fifteen minutes, twenty minutes, half an hour, forty minutes, an hour"),
    "dish": _words(
        "chicken soup, vegetable curry, mushroom pasta, fish pie, tomato salad, grilled salmon",
        "pumpkin soup, beef stew, cheese omelet, potato salad",
        "lentil soup, lamb stew, spinach pie, pepper pizza",
    ),
    "snack": _words(
        "cheese sandwiches, slices of carrot cake, blueberry muffins, ham rolls",
        "lemon tarts, chocolate cookies, bowls of soup",
        "apple pies, egg sandwiches, cinnamon rolls",
    ),
    "ingredient": _words(
        "butter, flour, garlic, rice, honey, cream, pepper", "sugar, basil, yeast", "ginger, salt, vinegar"
    ),
    "garment": _words(
        "blue jacket, red sweater, black coat, white shirt, gray scarf, green dress",
        "brown belt, striped shirt, yellow raincoat, pair of jeans",
        "purple skirt, wool hat, leather jacket, pair of gloves",
    ),
    "fault": _words("too small, too big, too tight, too long", "too short, too heavy", "too loose, too thin"),
    "book": _words(
        "The Silent River, A House in Winter, The Last Train, Letters from Home, The Glass Garden",
        "The Paper Boat, Seven Summers, The Lighthouse Keeper",
        "The Empty Chair, A Map of Stars, The Clock Maker",
    ),
    "film": _words(
        "Night Harbor, The Lost Key, Summer Rain, City of Birds, The Long Road, Paper Moon Hotel",
        "Red Mountain, The Quiet Man Next Door, Stolen Time",
        "Winter Light, The Second Door, Ocean Drive",
    ),
    "gift": _words(
        "cookbook, teapot, travel mug, board game, desk lamp, picture frame",
        "photo album, chess set, silk scarf, flower pot",
        "puzzle, jewelry box, wall clock, backpack",
    ),
    "lost_thing": _words(
        "black suitcase, green backpack, brown wallet, red umbrella, silver laptop",
        "blue handbag, guitar case, white tablet",
        "gray sports bag, pink suitcase, leather briefcase",
    ),
    "machine": _words("printer, projector, coffee machine, scanner, copier", "laptop, shredder", "keyboard, monitor"),
    "appliance": _words("washing machine, fridge, heater, dishwasher", "kitchen sink, shower", "oven, doorbell"),
    "report": _words(
        "sales report, budget plan, customer survey, travel report, safety report",
        "project plan, price list, yearly review",
        "marketing plan, staff survey, cost report",
    ),
    "topic": _words(
        "the new website, the spring campaign, the office move, the summer party, the training plan",
        "the holiday schedule, the hiring plan",
        "the trade fair, the parking rules",
    ),
    "job": _words(
        "sales assistant, office manager, cook, driver, teacher, web designer",
        "nurse, tour guide, bookkeeper",
        "gardener, photographer, security guard",
    ),
    "course": _words(
        "Spanish, painting, yoga, guitar, cooking, pottery", "French, swimming, dance", "German, chess, sewing"
    ),
    "pet": _words("cat, dog, rabbit, parrot", "hamster, goldfish", "turtle, kitten"),
    "bike_part": _words("front brake, back tire, chain, gear cable", "saddle, bell", "pedal, front light"),
    "furniture": _words("sofa, bookcase, kitchen table, wardrobe", "bed, desk", "piano, armchair"),
    "date": _words(
        "March 4, April 12, May 20, June 8, July 15, August 3, October 10, November 22",
        "January 17, September 6, December 1",
        "February 9, May 27, June 30",
    ),
    "complaint": _words(
        "sore throat, bad cough, headache, high fever, stomach ache", "cold, earache", "toothache, back pain"
    ),
    "nights": _words("two nights, three nights, four nights, five nights, a week"),
}

_NUMBERS = {"two": 2, "three": 3}


def product(count: str, price: str) -> Derive:
    """A total in dollars: so many things at such a price each."""
    return lambda values: f"${_NUMBERS[values[count]] * int(values[price].lstrip('$'))}"


def later(hour: str) -> Derive:
    """One hour after a given time of day."""

    def derive(values: Mapping[str, str]) -> str:
        clock, half = values[hour].split(" ")
        whole, _, minutes = clock.partition(":")
        following = int(whole) % 12 + 1
        if following == 12:
            half = "pm" if half == "am" else "am"
        return f"{following}{':' + minutes if minutes else ''} {half}"

    return derive
