"""What people say around the matter itself: greetings, talk that leads nowhere, and goodbyes.

`X` opens and `Y` answers. Small talk names people, days and times of its own, which a summary must not pick up.
"""

from __future__ import annotations

OPENINGS = {
    "service": (
        ("[Hello|Good morning|Good afternoon]. [How can I help you?|What can I do for you?]",),
        ("[Good morning|Hello there|Welcome]. [Are you being served?|Can I help you with anything?]",),
    ),
    "friends": (
        ("[Hi|Hey|Hello]! [How are you?|How are things?|How is it going?]", "[Fine, thanks.|Pretty well, thank you.]"),
        ("[Hi|Hello], [do you have a minute?|can we talk for a moment?]", "[Sure.|Of course.|Yes, what is it?]"),
        ("[Nice to see you.|Good to see you again.]", "[You too.|It has been a while.]"),
    ),
}
"""By register. A service opens with the one who serves; friends open with either."""

SMALL_TALK = (
    ("It is [very busy|rather quiet] here today.", "[Yes, it is always like that on a|It is worse on a] {t_day}."),
    ("What [awful|lovely] weather!", "Yes, and on {t_day} it [is going to snow|will be even warmer]."),
    ("[My friend|My neighbor] {t_name} told me about you.", "[That was kind.|How nice of {t_name}!]"),
    ("Sorry, I am a bit slow. I got up at {t_hour}.", "[No problem.|Never mind, take your time.]"),
    ("I met {t_name} on the way here.", "[Really? I have not seen {t_name} for months.|Oh, how is {t_name}?]"),
    ("My bus was late again. I waited [until|till] {t_hour}.", "[That happens a lot.|How annoying!]"),
    ("I was in {t_city} last {t_day}, by the way.", "[I have never been there.|Lucky you! I love it there.]"),
    ("This {t_thing} cost me {t_price}, can you believe it?", "[That is a lot of money.|That was a bargain!]"),
    ("My [brother|uncle] lives in {t_city}, you know.", "[So does mine.|I used to work there.]"),
    ("[Your office|This place] looks different.", "Yes, it was painted last {t_day}."),
)
"""Pairs of a remark and its answer."""

SMALL_TALK_SLOTS = {
    "t_day": "weekday",
    "t_name": "first_name",
    "t_hour": "hour",
    "t_city": "city",
    "t_thing": "garment",
    "t_price": "price",
}

CLOSINGS = {
    "service": (
        ("[Thank you very much.|Thanks for your help.]", "[You're welcome.|My pleasure.] Have a nice day."),
        ("[Thank you. Goodbye.|Thanks, bye.]", "[Goodbye.|Bye, and thank you.]"),
        ("[Great, thanks a lot.|That is all, thank you.]",),
    ),
    "friends": (
        ("[Great.|Good.] [See you then.|See you soon.]", "[See you!|Bye!]"),
        ("[I have to go now.|I must run.] Bye!", "[Bye.|Take care!]"),
        ("[Talk to you later.|Have a nice day.]", "[You too. Bye.|Thanks, you too.]"),
    ),
}
"""By register: what A says in the end, and the answer."""
