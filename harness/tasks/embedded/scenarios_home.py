"""Dialogues between friends and neighbors."""

from __future__ import annotations

from harness.tasks.embedded.script import Outcome, Scenario
from harness.tasks.embedded.slots import later

SCENARIOS = (
    Scenario(
        name="dinner_invitation",
        roles=("host", "friend"),
        register="friends",
        slots={"name": "first_name", "dish": "dish", "day": "weekday", "other_day": "weekday", "hour": "hour"},
        outcomes=(
            Outcome(
                "accepted",
                """
                A: {name}, would you like to come to dinner on {other_day}?
                B: [I'd love to, but I can't on {other_day}.|{other_day} is bad, I have to work.]
                A: [How about|What about] {day}, then?
                B: [{day} is fine.|Yes, {day} is good.] What will you cook?
                ~
                A: [I'm making|I want to make] {dish}. Come at {hour}.
                B: [Sounds delicious!|My favorite!] I'll bring [dessert|some wine].
                """,
                (
                    "{A} invites {name} to dinner on {day} at {hour} and will make {dish}.",
                    "{name} will come to dinner on {day} at {hour}, when {A} cooks {dish}.",
                ),
            ),
            Outcome(
                "declined",
                """
                A: [I'm cooking {dish} on {day}.|On {day} I'm making {dish}.] Can you come, {name}?
                B: What time?
                A: [At|About] {hour}.
                ~
                B: [I'm sorry, I can't.|What a pity, I'm busy.] My parents are coming to see me.
                A: [And on|Is it the same on] {other_day}?
                B: [They stay till the end of the week.|I'm away then, too.] [Maybe|Let's do it] next month.
                """,
                (
                    "{name} cannot come to dinner on {day} at {hour}, when {A} makes {dish}, "
                    "because of a family visit.",
                    "{A} invites {name} for {dish} on {day} at {hour}, but {name} has a family visit.",
                ),
            ),
        ),
    ),
    Scenario(
        name="birthday_gift",
        roles=("giver", "adviser"),
        register="friends",
        slots={"name": "first_name", "gift": "gift", "other": "gift", "day": "weekday", "price": "price"},
        outcomes=(
            Outcome(
                "first_idea",
                """
                A: It's {name}'s birthday on {day}. [What should I buy?|I need a present.]
                B: [How about|Why not buy] a {gift}?
                A: [Or a {other}?|I thought of a {other}.]
                B: {name} already has a {other}.
                ~
                A: [You're right.|Oh, I forgot.] Then [it's|I'll get] the {gift}. What does it cost?
                B: [I saw one for {price}.|About {price}.]
                """,
                (
                    "{A} will buy {name} a {gift} for {price} as a birthday present on {day}.",
                    "{B} advises {A} to give {name} a {gift} for {price} on the birthday on {day}.",
                ),
            ),
            Outcome(
                "shared",
                """
                A: [Are you going to|Will you be at] {name}'s birthday party on {day}?
                B: Yes. [Do you have a present?|What will you give?]
                A: [I was thinking of|I'd like to give] a {gift}, but it costs {price}.
                ~
                B: [A {other} is cheaper.|You could get a {other} for less.]
                A: [No, a {gift} is better.|But the {gift} is so nice!] Shall we buy it together?
                B: [Good idea!|Yes, let's do that.]
                """,
                (
                    "{A} and {B} will buy {name} a {gift} for {price} together for the party on {day}.",
                    "{A} and {B} share the {price} for a {gift} as a present for {name} on {day}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="cinema",
        roles=("first friend", "second friend"),
        register="friends",
        slots={"film": "film", "other": "film", "day": "weekday", "hour": "hour", "street": "street"},
        derived={"later": later("hour")},
        outcomes=(
            Outcome(
                "changed_film",
                """
                A: [Let's go to the cinema|Shall we see a film] on {day}.
                B: [Good idea.|I'd like that.] I want to see {other}.
                A: I've seen that. [It was boring.|Once was enough.] What about {film}?
                B: [All right.|OK, why not?] When does it start?
                ~
                A: At {hour}. [Let's meet in {street}.|We can meet in {street}.]
                B: [Fine.|OK.] I'll buy the tickets.
                """,
                (
                    "{A} and {B} will see {film} on {day} at {hour} and meet in {street}.",
                    "{A} and {B} meet in {street} on {day} to see {film} at {hour}.",
                ),
            ),
            Outcome(
                "too_late",
                """
                A: [{film} is on at {hour} on {day}.|On {day} they show {film} at {hour}.] Will you come?
                B: [Where is it on?|Which cinema?]
                A: The one in {street}.
                ~
                B: I'm [still at work|busy] at {hour}. [Is there anything later?|Can we go later?]
                A: [Yes, they show it again an hour later.|There's another show an hour later.]
                B: [Good, then I'll come.|I can make that.] [I was afraid it was {other}.|It's better than {other}.]
                """,
                (
                    "{A} and {B} will see {film} on {day} at {later}, since {B} is busy at {hour}.",
                    "{B} is busy at {hour}, so {A} and {B} go to {film} on {day} at {later}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="pet_care",
        roles=("owner", "neighbor"),
        register="friends",
        slots={"pet": "pet", "city": "city", "day": "weekday", "back": "weekday", "name": "first_name"},
        outcomes=(
            Outcome(
                "agreed",
                """
                A: [I'm going to {city} on {day}.|On {day} I have to go to {city}.] Could you feed my {pet}?
                B: [How long will you be away?|When will you be back?]
                A: [I'll be back|Until] on {back}.
                ~
                B: [That's all right.|No problem.] I like your {pet}. What does it eat?
                A: [Everything is in the kitchen.|I'll put everything on the table.] Here's the key.
                ?B: I'll come every morning.
                """,
                (
                    "{A} goes to {city} from {day} to {back}, and {B} will feed the {pet}.",
                    "{B} will look after the {pet} while {A} is in {city} from {day} to {back}.",
                ),
            ),
            Outcome(
                "referred",
                """
                A: [Can you take my {pet} from {day}?|Would you look after my {pet} from {day}?] I'm off to {city}.
                B: [I'm sorry, I'm away myself.|I can't, I'm traveling too.] When do you come back?
                A: On {back}. [What can I do?|Whom could I ask?]
                ~
                B: [Ask {name} on the first floor.|Why don't you ask {name}?] {name} loves animals.
                A: [Thanks, I'll do that.|I'll ring the bell right now.]
                """,
                (
                    "{B} cannot take the {pet} while {A} is in {city} from {day} to {back}. {A} will ask {name}.",
                    "{A} goes to {city} from {day} to {back} and will ask {name} to take the {pet}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="moving_help",
        roles=("mover", "helper"),
        register="friends",
        slots={
            "name": "first_name",
            "street": "street",
            "thing": "furniture",
            "other": "furniture",
            "day": "weekday",
            "hour": "hour",
        },
        outcomes=(
            Outcome(
                "helps",
                """
                A: [I'm moving to {street} on {day}.|On {day} I move to {street}.] Can you help me, {name}?
                B: [Yes, of course.|Sure.] What is there to carry?
                A: [Mainly|Most of all] the {thing}. It's [very|so] heavy.
                B: And the {other}?
                A: I've sold that.
                ~
                B: [When shall I come?|What time?]
                A: At {hour}.
                """,
                (
                    "{name} will help {A} move the {thing} to {street} on {day} at {hour}.",
                    "{A} moves to {street} on {day}, and {name} comes at {hour} to carry the {thing}.",
                ),
            ),
            Outcome(
                "cannot",
                """
                A: {name}, [are you free|have you got time] on {day}? I need help with the {thing}.
                B: [Are you moving?|What for?]
                A: Yes, to {street}. [The van comes|We start] at {hour}.
                ~
                B: [I'm sorry, my back hurts.|I'd like to, but my back is bad.] I can't carry anything.
                A: [Not even the {other}?|And the {other}?]
                B: [No, nothing.|Not even that.] But I'll [lend you my car|make lunch for you].
                """,
                (
                    "{name} has a bad back and cannot help {A} move the {thing} to {street} on {day} at {hour}.",
                    "{A} moves to {street} on {day} at {hour}, but {name} cannot carry the {thing} with a bad back.",
                ),
            ),
        ),
    ),
    Scenario(
        name="cooking_trouble",
        roles=("cook", "neighbor"),
        register="friends",
        slots={"dish": "dish", "need": "ingredient", "other": "ingredient", "name": "first_name", "hour": "hour"},
        outcomes=(
            Outcome(
                "lent",
                """
                A: [I'm making|I'm trying to make] {dish}, and I have no {need}. Can you lend me some?
                B: [Let me look.|Wait a moment.] I have {other}.
                A: [No, I need {need}.|That won't do.]
                ~
                B: [Ah, here's some {need}.|Here it is.] Who is the food for?
                A: {name} [is coming|will be here] at {hour}.
                B: [Enjoy it!|Good luck!]
                """,
                (
                    "{A} makes {dish} for {name}, who comes at {hour}, and borrows {need} from {B}.",
                    "{B} lends {A} some {need} for {dish}, because {name} comes at {hour}.",
                ),
            ),
            Outcome(
                "without",
                """
                A: [Do you have any {need}?|Could you give me some {need}?] {name} is coming at {hour}.
                B: [No, I've run out of it.|I'm sorry, I have none.] What are you cooking?
                A: {dish}. [The shops are closed.|It's too late to go shopping.]
                ~
                B: [Just use {other} instead.|Try it with {other}.] I always do.
                A: [Does it taste good?|Really?]
                B: [Yes, nobody will notice.|It's even better.]
                """,
                (
                    "{B} has no {need} and tells {A} to use {other} for {dish}. {name} comes at {hour}.",
                    "{A} cooks {dish} for {name} at {hour} and will take {other} instead of {need}.",
                ),
            ),
        ),
    ),
)
