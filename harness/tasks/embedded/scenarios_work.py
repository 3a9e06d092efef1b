"""Dialogues at work and around work, courses and homes."""

from __future__ import annotations

from harness.tasks.embedded.script import Outcome, Scenario
from harness.tasks.embedded.slots import later, product

SCENARIOS = (
    Scenario(
        name="meeting",
        roles=("organizer", "colleague"),
        register="friends",
        slots={"name": "first_name", "topic": "topic", "day": "weekday", "other_day": "weekday", "hour": "hour"},
        derived={"later": later("hour")},
        outcomes=(
            Outcome(
                "new_day",
                """
                A: {name}, [we have to talk|I need a meeting with you] about {topic}. Is {other_day} all right?
                B: [I'm out of the office|I'm traveling] on {other_day}. [What about|Can we say] {day}?
                A: [Fine|That's OK], {day} at {hour}?
                B: [Yes, that's good.|I'll write it down.]
                ~
                A: [Please bring|Don't forget] your notes.
                B: [All right.|Yes, sure.]
                """,
                (
                    "{A} and {name} will meet on {day} at {hour} to talk about {topic}.",
                    "{name} is away on {other_day}, so the meeting with {A} about {topic} is on {day} at {hour}.",
                ),
            ),
            Outcome(
                "hour_later",
                """
                A: [Don't forget our meeting|We have a meeting] about {topic} on {day} at {hour}.
                B: [Oh, that's early.|Oh no, I have another meeting then.] Can it be an hour later?
                A: [I think so.|Let me see. Yes.] But [not on|I can't on] {other_day}.
                ~
                B: No, {day}, just an hour later.
                A: [Good.|Fine.] I'll tell {name}[, too|].
                """,
                (
                    "{B} asks for the meeting about {topic} on {day} to be at {later}. "
                    "{A} agrees and will tell {name}.",
                    "{A} will tell {name} that the meeting about {topic} on {day} is at {later}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="job_interview",
        roles=("applicant", "employer"),
        register="service",
        slots={"name": "surname", "job": "job", "city": "city", "day": "weekday", "price": "price"},
        outcomes=(
            Outcome(
                "hired",
                """
                A: Good day, I'm {name}. [I've come about|I'm here for] the job as a {job}.
                B: [Please sit down.|Have a seat.] Where did you work before?
                A: In {city}[, for three years|].
                ~
                B: [Very good.|That's fine.] We pay {price} a day. Is that all right?
                A: [Yes, it is.|That's fine with me.] When could I start?
                B: On {day}[, if you like|].
                """,
                (
                    "{name} gets the job as a {job} for {price} a day and starts on {day}.",
                    "{B} hires {name} as a {job} from {day} and pays {price} a day.",
                ),
            ),
            Outcome(
                "must_wait",
                """
                A: [My name is|I'm] {name}. I'm [interested in|applying for] the job as a {job}.
                B: [What have you done so far?|Have you any experience?]
                A: I [worked in|was at a firm in] {city}. I earned {price} a day there.
                ~
                B: [I see.|Interesting.] [There are others I have to meet.|You are not the only one.]
                A: [When will I hear from you?|How long must I wait?]
                B: [I'll call you on {day}.|You'll hear from me on {day}.]
                """,
                (
                    "{name}, who worked in {city}, applies for a job as a {job}. {B} will call on {day}.",
                    "{B} will tell {name} from {city} on {day} who gets the job as a {job}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="report_deadline",
        roles=("boss", "employee"),
        register="friends",
        slots={
            "name": "first_name",
            "report": "report",
            "other": "report",
            "day": "weekday",
            "other_day": "weekday",
        },
        outcomes=(
            Outcome(
                "more_time",
                """
                A: {name}, is the {report} [ready|finished]? I need it on {other_day}.
                B: [Not yet.|I'm afraid not.] I had to do the {other} first.
                A: [How much time do you need?|When can I have it?]
                ~
                B: [Can I have it till|Could I give it to you on] {day}?
                A: [Well, all right.|If you must.] But no later.
                B: [I promise.|Thank you.]
                """,
                (
                    "{A} gives {name} until {day} to finish the {report}, because the {other} came first.",
                    "{name} had to do the {other} and may hand in the {report} on {day}.",
                ),
            ),
            Outcome(
                "no_more_time",
                """
                A: How is the {report} [coming on|going], {name}?
                B: [Slowly.|It's hard.] Could I have until {other_day}?
                A: [No, I'm sorry.|That's impossible.] The client comes on {day}.
                ~
                B: [And the {other}?|I have the {other} to write as well.]
                A: [Leave it.|That can wait.] The {report} must be ready on {day}.
                B: [All right, I'll try.|Then I'll work late.]
                """,
                (
                    "{A} refuses more time: {name} must finish the {report} by {day} and leave the {other}.",
                    "{name} has to leave the {other} and finish the {report} by {day}, as {A} refuses more time.",
                ),
            ),
        ),
    ),
    Scenario(
        name="machine_trouble",
        roles=("caller", "technician"),
        register="service",
        slots={"machine": "machine", "other": "machine", "name": "surname", "hour": "hour", "day": "weekday"},
        outcomes=(
            Outcome(
                "visit",
                """
                A: [This is {name}.|{name} speaking.] Our {machine} [doesn't work|has stopped working].
                B: [Have you turned it off and on?|Did you try to start it again?]
                A: Yes, [twice|several times]. [Nothing happens.|It's dead.]
                ~
                B: Then I'll [come and look at it|send somebody] on {day} at {hour}.
                A: [And what do we do until then?|So late?]
                B: [Use the {other} for now.|The {other} will have to do.]
                """,
                (
                    "The {machine} of {name} does not work. {B} will have it looked at on {day} at {hour}.",
                    "{name} reports a broken {machine}, and {B} promises a visit on {day} at {hour}.",
                ),
            ),
            Outcome(
                "solved",
                """
                A: [I can't get the {machine} to work.|The {machine} won't start.] I need it on {day}.
                B: [Is the light on?|Can you see a light?]
                A: No. [Only the one on the {other}.|But the {other} is all right.]
                ~
                B: [Look at the cable.|Is the plug in?]
                A: [Oh, it was loose.|Oh no, it wasn't plugged in.] [Now it works!|It's working!]
                B: [Good.|I'm glad.] If not, call me before {hour}.
                """,
                (
                    "{A} cannot start the {machine}. {B} helps, and it turns out that the cable was loose.",
                    "{B} helps {A} with the {machine}: the cable was loose, and now it works.",
                ),
            ),
        ),
    ),
    Scenario(
        name="evening_course",
        roles=("learner", "secretary"),
        register="service",
        slots={
            "course": "course",
            "other": "course",
            "day": "weekday",
            "hour": "hour",
            "price": "unit_price",
            "count": "pair",
            "name": "surname",
        },
        derived={"total": product("count", "price")},
        outcomes=(
            Outcome(
                "enrolled",
                """
                A: [Is there still room in the {course} course?|I'd like to join the {course} course.]
                B: [Yes, there are a few places.|Yes, you're lucky.] It's on {day} at {hour}.
                A: What does it cost?
                B: {price} [a|per] month, and it takes {count} months.
                ~
                A: [Good, put me down.|I'll take it.] My name is {name}.
                ?B: Do you want to do {other} as well?
                ?A: No, one course is enough.
                """,
                (
                    "{name} joins the {course} course on {day} at {hour} and pays {total} for {count} months.",
                    "{B} enters {name} for {course} on {day} at {hour}, which costs {total} for {count} months.",
                ),
            ),
            Outcome(
                "other_course",
                """
                A: [I want to learn|I'm interested in] {other}. Is there a course?
                B: [It's full, I'm afraid.|Yes, but it's full.] There's a place in {course}.
                A: [Hm, why not?|Well, I always wanted to try that.] When is it?
                ~
                B: On {day} at {hour}. It's {price} [a|per] month.
                A: [All right.|OK.] [I'm {name}.|The name is {name}.]
                B: [See you next week.|Welcome to the course.]
                """,
                (
                    "The {other} course is full, so {name} takes {course} on {day} at {hour}.",
                    "{name} wants to learn {other} but joins the {course} course on {day} at {hour}.",
                ),
            ),
        ),
    ),
    Scenario(
        name="house_repair",
        roles=("tenant", "landlord"),
        register="service",
        slots={"thing": "appliance", "other": "appliance", "street": "street", "day": "weekday", "hour": "hour"},
        outcomes=(
            Outcome(
                "will_send",
                """
                A: I [live|rent a flat] in {street}. The {thing} [is broken|has stopped working].
                B: [Since when?|Again? When did it happen?]
                A: Since {hour} yesterday. [It makes a strange noise.|There's water everywhere.]
                ~
                B: [And the {other}?|Is the {other} all right?]
                A: That [still works|is fine].
                B: [I'll send a man on {day}.|Somebody will come on {day}.]
                """,
                (
                    "The {thing} in {street} is broken. {B} will send somebody to {A} on {day}.",
                    "{A} reports a broken {thing} in {street}, and {B} sends somebody on {day}.",
                ),
            ),
            Outcome(
                "will_not_pay",
                """
                A: The {thing} in my flat in {street} [is broken|doesn't work]. Will you repair it?
                B: [What happened?|How did that happen?]
                A: My son [threw a ball at it|sat on it] on {day}.
                ~
                B: [Then you must pay for it yourself.|Then I won't pay for that.]
                A: [But you paid for the {other}!|You did repair the {other}.]
                B: [That was old.|That was different.] [Call me at {hour} if you need a plumber.|I'm out after {hour}.]
                """,
                (
                    "{B} will not pay for the broken {thing} in {street}, because the son of {A} broke it on {day}.",
                    "The son of {A} broke the {thing} in {street} on {day}, so {B} refuses to pay.",
                ),
            ),
        ),
    ),
)
