"""Dialogues in shops and offices in town."""

from __future__ import annotations

from harness.tasks.embedded.script import Outcome, Scenario
from harness.tasks.embedded.slots import later, product

SCENARIOS = (
    Scenario(
        name="restaurant_table",
        roles=("guest", "waiter"),
        register="service",
        slots={
            "place": "restaurant",
            "count": "count",
            "day": "weekday",
            "other_day": "weekday",
            "hour": "hour",
            "name": "surname",
        },
        outcomes=(
            Outcome(
                "booked",
                """
                A: [Is this|Am I speaking to] {place}? I'd like to book a table.
                B: [Certainly|Of course]. For which day, and for how many people?
                A: For {count} people on {day}[, please|].
                ~
                B: [What time would suit you?|At what time?]
                A: At {hour}[, if possible|].
                B: [Fine.|That works.] May I have your name?
                A: [It's|My name is] {name}.
                ?B: Thank you. Your table is by the window.
                """,
                (
                    "{A} books a table for {count} at {place} on {day} at {hour} under the name {name}.",
                    "{A} calls {place} and reserves a table for {count} on {day} at {hour} for {name}.",
                ),
            ),
            Outcome(
                "moved",
                """
                A: Hello, [is this|am I speaking to] {place}? I want to reserve a table on {other_day}.
                B: I'm afraid we are [full|fully booked] on {other_day}. Would {day} be all right?
                A: [Well, that's fine too.|Yes, {day} is all right.] We are {count} people.
                ~
                B: [When will you come?|At what time?]
                A: [At|Around] {hour}.
                B: And [your name, please|the name]?
                A: {name}.
                """,
                (
                    "{place} is full on {other_day}, so {A} books a table for {count} on {day} at {hour} for {name}.",
                    "{A} wants a table at {place} on {other_day} but takes {day} at {hour} for {count} as {name}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="cafe_order",
        roles=("customer", "clerk"),
        register="service",
        slots={"count": "pair", "snack": "snack", "other": "snack", "price": "unit_price"},
        derived={"total": product("count", "price")},
        outcomes=(
            Outcome(
                "bought",
                """
                A: [I'd like some {other}, please.|Can I have some {other}, please?]
                B: [I'm sorry, they are sold out.|We have none left today.] But the {snack} are very good.
                A: How much are they?
                B: [They are|They cost] {price} each.
                ~
                A: [All right|Fine], [then I'll take|give me] {count} of them.
                B: [For here or to go?|Shall I pack them for you?]
                A: [To go, please.|Yes, please.]
                """,
                (
                    "{A} wants {other}, but they are sold out. {A} buys {count} {snack} for {total} in all.",
                    "The {other} are sold out, so {A} takes {count} {snack} and pays {total}.",
                ),
            ),
            Outcome(
                "left",
                """
                A: [How much|What price] are the {snack}?
                B: They are {price} each.
                A: [Hm, that is a lot.|Oh dear.] I wanted {count} of them. And the {other}?
                ~
                B: [Those cost even more|They are dearer still], I'm afraid.
                A: [Then I'd rather not.|Then I won't take anything.] {price} is too much for me.
                B: [I understand.|That's a pity.] Maybe [another time|next week].
                """,
                (
                    "{A} asks for {count} {snack} but finds {price} each too expensive and buys nothing.",
                    "{B} asks {price} for each of the {snack}. {A} wanted {count} but leaves without them.",
                ),
            ),
        ),
    ),
    Scenario(
        name="clothes_return",
        roles=("customer", "clerk"),
        register="service",
        slots={"item": "garment", "other": "garment", "fault": "fault", "day": "weekday", "price": "price"},
        outcomes=(
            Outcome(
                "refunded",
                """
                A: I [bought|got] this {item} here on {day}, but it is {fault}.
                B: [I'm sorry about that.|What a pity.] Do you have the receipt?
                A: [Yes, here it is.|Here you are.]
                ~
                B: Would you like to change it for the {other}?
                A: [No, I'd rather have my money back.|I don't like that one. I want the money.]
                B: [All right.|No problem.] Here is your {price}.
                """,
                (
                    "{A} returns a {item} that is {fault} and gets {price} back from {B}.",
                    "{A} brings back a {item} because it is {fault}. {B} pays back {price}.",
                ),
            ),
            Outcome(
                "exchanged",
                """
                A: I have a problem with this {item}. It is {fault}.
                B: When did you buy it?
                A: On {day}. I paid {price}.
                ~
                B: [I can't give you the money back|We don't pay back money], but you may [take|choose] something else.
                A: Hm. Then [I'll take|give me] the {other}, it costs the same.
                B: [Good choice.|Certainly.] I'll pack it for you.
                """,
                (
                    "{A} returns a {item} that is {fault} and takes the {other} instead.",
                    "{A} cannot get the money back for a {item} that is {fault}, so {A} changes it for the {other}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="library_loan",
        roles=("reader", "librarian"),
        register="service",
        slots={"book": "book", "other": "book", "day": "weekday", "name": "surname"},
        outcomes=(
            Outcome(
                "reserved",
                """
                A: I'm looking for {book}. [Do you have it?|Is it in?]
                B: [Let me check.|One moment.] It is out, but it will be back on {day}.
                A: [Can you keep it for me?|Could I reserve it?]
                B: [Sure.|Of course.] What is your name?
                A: [It's|My name is] {name}.
                ~
                ?B: In the meantime you could read {other}.
                ?A: No thanks, I know that one.
                """,
                (
                    "{book} is out until {day}. {B} reserves it for {A}, whose name is {name}.",
                    "{A} asks for {book} and {B} will keep it for {name} when it comes back on {day}.",
                ),
            ),
            Outcome(
                "borrowed",
                """
                A: Good day, I wanted to read {other}.
                B: [Sorry, somebody has taken it.|That one is out, I'm afraid.] But {book} is by the same writer.
                A: [Oh, is it good?|Did you like it?]
                B: [I loved it.|Very good, I think.] It is a bit longer.
                ~
                A: [Fine, I'll borrow it.|Then I'll take that one.] When must I bring it back?
                B: By {day}. [Your card, please.|May I see your card?]
                A: [Here.|Here it is.]
                """,
                (
                    "{other} is out, so {A} borrows {book} and has to bring it back by {day}.",
                    "{A} wants {other} but takes {book} on the advice of {B} and must return it by {day}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="bike_repair",
        roles=("customer", "mechanic"),
        register="service",
        slots={"part": "bike_part", "price": "price", "day": "weekday", "other_day": "weekday", "hour": "hour"},
        outcomes=(
            Outcome(
                "repaired",
                """
                A: [Something is wrong with my bike.|My bike is broken.] I think it's the {part}.
                B: [Let me see.|I'll have a look.] Yes, you need a new {part}.
                A: [How much will that be?|What does it cost?]
                B: {price}[, with the work|].
                ~
                A: [OK.|That's fine.] Will it be ready on {other_day}?
                B: [No, that's too soon.|Not so fast.] Come on {day} after {hour}.
                """,
                (
                    "{B} will put a new {part} on the bike for {price}. {A} can fetch it on {day} after {hour}.",
                    "{A} needs a new {part} for {price}, and {B} will have the bike ready on {day} after {hour}.",
                ),
            ),
            Outcome(
                "refused",
                """
                A: The {part} of my bike [doesn't work|is broken]. Can you mend it?
                B: [Yes, but not before|I can do it on] {day}. It would be {price}.
                A: {price}? [That's too much.|You must be joking!]
                ~
                B: [It's a lot of work, you see.|New parts are expensive.]
                A: [Then I'll do it myself.|I'd better try it myself, then.]
                B: [As you like.|It's up to you.] We're open till {hour}[ if you need help|].
                """,
                (
                    "{B} asks {price} to mend the {part}. {A} finds it too much and will do it alone.",
                    "{A} refuses to pay {price} for the {part} of the bike and decides to mend it alone.",
                ),
            ),
        ),
    ),
    Scenario(
        name="dentist_visit",
        roles=("patient", "receptionist"),
        register="service",
        slots={"name": "surname", "pain": "complaint", "day": "weekday", "other_day": "weekday", "hour": "hour"},
        derived={"later": later("hour")},
        outcomes=(
            Outcome(
                "made",
                """
                A: [I need to see the doctor.|I'd like an appointment.] I've had a {pain} since {other_day}.
                B: [Poor you.|I'm sorry to hear that.] Can you come on {day}?
                A: Yes, [at what time|when]?
                B: At {hour}. [What's your name?|And your name, please?]
                ~
                A: {name}. [Should I bring anything?|Do I need anything?]
                B: [Only your card.|Just your insurance card.]
                """,
                (
                    "{A} has a {pain} and gets an appointment for {name} on {day} at {hour}.",
                    "{B} gives {A} an appointment on {day} at {hour} for a {pain} under the name {name}.",
                ),
            ),
            Outcome(
                "an_hour_later",
                """
                A: [This is {name}.|My name is {name}.] I have an appointment on {day} at {hour}.
                B: Yes, [I see it here|that's right]. Because of the {pain}?
                A: Exactly. [Could I come an hour later?|Is an hour later possible too?] I have to work.
                ~
                B: [Let me look.|One moment.] Yes, an hour later is [free|fine].
                A: [Perfect.|Wonderful.] And I don't have to come on {other_day}?
                B: No, [that isn't necessary|once is enough].
                """,
                (
                    "{name} moves the appointment for a {pain} on {day} from {hour} to {later}.",
                    "{A}, {name}, has a {pain} and will come on {day} at {later} instead of {hour}.",
                ),
            ),
        ),
    ),
)
