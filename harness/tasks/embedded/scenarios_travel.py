"""Dialogues on journeys: rooms, tickets, taxis, luggage and the way."""

from __future__ import annotations

from harness.tasks.embedded.script import Outcome, Scenario
from harness.tasks.embedded.slots import later, product

SCENARIOS = (
    Scenario(
        name="hotel_room",
        roles=("guest", "receptionist"),
        register="service",
        slots={"date": "date", "nights": "nights", "price": "price", "high": "price", "name": "surname"},
        outcomes=(
            Outcome(
                "booked",
                """
                A: [Do you have a room from {date}?|I need a room from {date}.]
                B: [For how long?|How long will you stay?]
                A: For {nights}.
                B: [A room with a view|A large room] is {high}, a [small|plain] one is {price} [a|per] night.
                ~
                A: [The cheaper one will do.|I'll take the cheap one.]
                B: [Your name, please?|And your name?]
                A: {name}.
                """,
                (
                    "{A} books a room for {nights} from {date} at {price} per night for {name}.",
                    "{B} books the cheaper room at {price} per night for {name} for {nights} from {date}.",
                ),
            ),
            Outcome(
                "too_dear",
                """
                A: I'd like a room for {nights} from {date}.
                B: [We only have one left.|There's just one free.] It costs {high} [a|per] night.
                A: [Oh, that's more than I can pay.|I wanted to pay less.] I can pay {price} at most.
                ~
                B: I'm sorry, [we have nothing at that price|I can't go down that far].
                A: [Then I'll look for another hotel.|Then I must try somewhere else.]
                B: [Good luck.|I hope you find something.]
                """,
                (
                    "{A} wants a room for {nights} from {date} but does not take it because it costs {high} per night.",
                    "{B} has a room for {high} per night. {A}, who needs {nights} from {date}, looks elsewhere.",
                ),
            ),
        ),
    ),
    Scenario(
        name="train_ticket",
        roles=("traveler", "clerk"),
        register="service",
        slots={"city": "city", "hour": "hour", "early": "hour", "count": "pair", "price": "unit_price"},
        derived={"total": product("count", "price"), "later": later("hour")},
        outcomes=(
            Outcome(
                "bought",
                """
                A: [When does the next train to {city} leave?|I want to go to {city}. When is the next train?]
                B: [There's one at|The next one is at] {early}, and then one at {hour}.
                A: {early} is too early. [We'll take|I prefer] the other one.
                ~
                B: [How many tickets?|For how many people?]
                A: {count}[, please|]. [What's the price?|How much is that?]
                B: {price} [for each|each].
                """,
                (
                    "{A} buys {count} tickets to {city} for the train at {hour} and pays {total} in all.",
                    "{B} sells {A} {count} tickets for {total} for the {hour} train to {city}.",
                ),
            ),
            Outcome(
                "an_hour_late",
                """
                A: [Excuse me, where is|Do you know where I find] the {hour} train to {city}?
                B: It's [late|delayed], I'm afraid. [About an hour.|It will come in an hour.]
                A: So it [won't leave|doesn't leave] before then? [How annoying!|What a nuisance!]
                ~
                B: You could take the bus at {early}, but it is {price} [more|extra].
                A: [No, I'll wait.|I'd rather wait here.]
                B: [There's a café over there.|It's warm in the hall.]
                """,
                (
                    "The {hour} train to {city} is an hour late. {A} decides to wait until {later}.",
                    "{A} will wait for the train to {city}, which leaves at {later} instead of {hour}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="lost_luggage",
        roles=("traveler", "clerk"),
        register="service",
        slots={"thing": "lost_thing", "other": "lost_thing", "city": "city", "name": "surname", "day": "weekday"},
        outcomes=(
            Outcome(
                "found",
                """
                A: I [lost|left] my {thing} on the train from {city}.
                B: [When was that?|What day was it?]
                A: On {day}.
                B: [Let me have a look.|Please wait a moment.] Is it this {other}?
                ~
                A: No, [mine is different|that isn't mine]. There's a label with the name {name}.
                B: [Oh yes, here it is.|Ah, here.] Please sign this.
                """,
                (
                    "{A}, {name}, lost a {thing} on the train from {city} on {day}, and {B} finds it.",
                    "{B} finds the {thing} that {name} left on the train from {city} on {day}.",
                ),
            ),
            Outcome(
                "missing",
                """
                A: [My {thing} didn't arrive.|My {thing} is missing.] I've just flown in from {city}.
                B: [I'm sorry.|Oh dear.] What's your name?
                A: {name}.
                ~
                B: [I can't see it anywhere.|It isn't in our list.] There's only a {other} here.
                A: [So what happens now?|What shall I do?]
                B: [We'll bring it to you on {day}.|We'll send it to your hotel on {day}.]
                """,
                (
                    "The {thing} of {name} did not arrive from {city}. {B} will deliver it on {day}.",
                    "{A}, {name}, misses a {thing} after a flight from {city}, and {B} will bring it on {day}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="taxi_ride",
        roles=("passenger", "driver"),
        register="service",
        slots={"place": "place", "street": "street", "minutes": "minutes", "hour": "hour", "price": "price"},
        outcomes=(
            Outcome(
                "called",
                """
                A: [Can you send me a taxi|I need a taxi], please? I'm in {street}.
                B: [Where are you going?|Where to?]
                A: To {place}. I have to be there at {hour}.
                ~
                B: [No problem.|That's no problem.] The taxi will be with you in {minutes}.
                A: [And how much is it?|What will it cost?]
                B: [About|Around] {price}.
                """,
                (
                    "{A} orders a taxi from {street} to {place}. It comes in {minutes} and costs {price}.",
                    "{B} sends {A} a taxi in {minutes}. The ride from {street} to {place} costs {price}.",
                ),
            ),
            Outcome(
                "by_bus",
                """
                A: [How much is a taxi to {place}?|What do you charge to {place}?]
                B: From here it's [about|around] {price}.
                A: [That's a lot.|So much?] I only have to be there at {hour}.
                ~
                B: [Then you could go by bus.|Well, the bus is cheaper.] It stops in {street}.
                A: [How long does it take?|Is it slow?]
                B: [It takes {minutes}.|Not really, {minutes}.]
                A: [Good, I'll do that.|I'll go by bus, then.]
                """,
                (
                    "{A} finds {price} for a taxi too much and takes the bus from {street} to {place}.",
                    "{A} goes to {place} by bus from {street}, because a taxi costs {price}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="asking_the_way",
        roles=("visitor", "local"),
        register="service",
        slots={"place": "place", "other": "place", "street": "street", "minutes": "minutes", "hour": "hour"},
        outcomes=(
            Outcome(
                "on_foot",
                """
                A: [Excuse me, how do I get to {place}?|Sorry, I'm looking for {place}.]
                B: [Go straight on|Walk down here] to {other} and then turn [left|right].
                A: [And then?|What next?]
                B: [You'll see it in {street}.|Then it's in {street}.]
                ~
                A: [How far is it?|Can I walk?]
                B: [It's {minutes} on foot.|You can walk there in {minutes}.]
                """,
                (
                    "{B} tells {A} the way to {place} in {street}, which is {minutes} on foot.",
                    "{A} asks the way to {place}. It is in {street}, {minutes} on foot.",
                ),
            ),
            Outcome(
                "closed",
                """
                A: [Is {place} near here?|Do you know where {place} is?] It should be in {street}.
                B: Yes, but it's [closed|shut] today. It opens tomorrow at {hour}.
                A: [What a shame!|Oh no!] I came all this way.
                ~
                B: [You could see {other} instead.|Why don't you go to {other}?]
                A: [Good idea. How far is that?|Is that far?]
                B: [Only {minutes}.|It's {minutes} from here.]
                A: [Then I'll go there.|I'll do that.]
                """,
                (
                    "{place} in {street} is closed until tomorrow at {hour}, so {A} goes to {other}.",
                    "{A} will see {other}, since {place} in {street} opens only tomorrow at {hour}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="car_rental",
        roles=("customer", "agent"),
        register="service",
        slots={"city": "city", "day": "weekday", "back": "weekday", "price": "price", "high": "price"},
        outcomes=(
            Outcome(
                "small_car",
                """
                A: I'd like to rent a car [from|on] {day}.
                B: [When will you bring it back?|Until when?]
                A: On {back}. I'm driving to {city}.
                ~
                B: A big one is {high} a day, a small one {price}.
                A: [There are only two of us.|I'm alone.] [The small one, please.|The small one is enough.]
                B: [Good.|Right.] Please sign here.
                """,
                (
                    "{A} rents a small car for {price} a day from {day} to {back} to drive to {city}.",
                    "{B} rents {A} the small car from {day} until {back} for {price} a day for a trip to {city}.",
                ),
            ),
            Outcome(
                "big_car",
                """
                A: [I need a car|I want to rent a car] for a trip to {city}[, please|].
                B: [There's a small one for|A small one is] {price} a day, and a big one for {high}.
                A: [We have children and a lot of bags.|We are six people.] [So we need|It must be] the big one.
                ~
                B: [When do you need it?|From when?]
                A: From {day} to {back}.
                B: [I'll get the keys.|Fine. Your license, please.]
                """,
                (
                    "{A} rents a big car for {high} a day from {day} to {back} to drive to {city}.",
                    "{B} rents {A} the big car from {day} until {back} for {high} a day for a trip to {city}.",
                ),
            ),
        ),
    ),
)
