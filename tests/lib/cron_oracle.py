#!/usr/bin/env python3
"""When a schedule is due, found as cron's own daemon would: by looking at the clock of the zone each minute. Shares nothing with
coordinator/cron.c but the rules (docs/schedules.md) and is slow.

    cron_oracle.py check FILE     does each row of the table hold? Prints those that do not.
    cron_oracle.py fill FILE      prints the table anew, with what the oracle finds
A row: name | expression | zone | from | the next five. Lines that begin with # are comments."""
import datetime
import hashlib
import sys
import zoneinfo

UTC = datetime.timezone.utc
MINUTE, DAY = datetime.timedelta(minutes=1), datetime.timedelta(days=1)
MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
DAYS = "sun mon tue wed thu fri sat".split()
NICKNAMES = {"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0", "@daily": "0 0 * * *",
             "@midnight": "0 0 * * *", "@hourly": "0 * * * *"}
FIELDS = [(0, 59, 59, []), (0, 23, 23, []), (1, 31, 28, []), (1, 12, 12, MONTHS), (0, 7, 6, DAYS)]


def number(text, field):
    least, names = FIELDS[field][0], FIELDS[field][3]
    return least + names.index(text.lower()) if text.lower() in names else int(text)


def numbers(item, field, name):
    """What one item of a list means."""
    least, most, hash_most, _ = FIELDS[field]
    body, _, step = item.partition("/")
    if body == "*":
        first, last = least, most
    elif body.startswith("H"):
        first, last = (number(part, field) for part in body[2:-1].split("-")) if "(" in body else (least, hash_most)
        digest = hashlib.blake2b(f"{name}/{field}".encode(), digest_size=16).digest()
        width = last - first + 1
        chosen = int.from_bytes(digest[:8], "big") % (min(int(step), width) if step else width)
        return range(first + chosen, last + 1, int(step)) if step else [first + chosen]
    elif "-" in body:
        first, last = (number(part, field) for part in body.split("-"))
        if field == 4 and last == 0 and first > 0:
            last = 7
    else:
        first = last = number(body, field)
    return range(first, last + 1, int(step or 1))


class Schedule:
    def __init__(self, name, text, zone):
        words = NICKNAMES.get(text, text).split()
        sets = [{n for item in word.split(",") for n in numbers(item, field, name)} for field, word in enumerate(words)]
        self.minutes, self.hours, self.days, self.months, weekdays = sets
        self.weekdays = {n % 7 for n in weekdays}
        self.either = words[2][0] != "*" and words[4][0] != "*"
        self.hourly = len(self.hours) == 24
        self.zone = zoneinfo.ZoneInfo(zone)

    def means_date(self, date):
        day, weekday = date.day in self.days, date.isoweekday() % 7 in self.weekdays
        return date.month in self.months and (day or weekday if self.either else day and weekday)

    def means(self, wall):
        return wall.minute in self.minutes and wall.hour in self.hours and self.means_date(wall.date())

    def shown(self, instant):
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def could_be(self, instant):
        """Something may be due in the day before or behind: else it need not be looked at minute by minute."""
        return any(self.means_date((instant + DAY * i).date()) for i in (-1, 0, 1, 2))

    def due(self, after, count):
        """Each minute: what the clock shows, or has passed over since the latest that it has ever shown."""
        instant, found = after.replace(second=0, microsecond=0) - 2 * DAY, []
        latest = self.shown(instant)
        while len(found) < count:
            if instant > after and not self.could_be(instant):
                instant += DAY
                latest = max(latest, self.shown(instant))
                continue
            instant += MINUTE
            shown = self.shown(instant)
            if self.hourly:
                is_due = self.means(shown)
            else:
                is_due = False
                while latest < shown:
                    latest += MINUTE
                    is_due = is_due or self.means(latest)
            if is_due and instant > after:
                found.append(instant.astimezone(self.zone))
        return found


def say(time):
    return time.isoformat(timespec="minutes" if time.second == 0 else "seconds")


def main():
    verb, path = sys.argv[1:]
    rows = wrong = 0
    with open(path, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if not line.strip() or line.startswith("#"):
                if verb == "fill":
                    print(line)
                continue
            name, text, zone, start, *expected = (part.strip() for part in line.split("|"))
            after = datetime.datetime.fromisoformat(start).astimezone(UTC)
            found = " ".join(say(time) for time in Schedule(name, text, zone).due(after, 5))
            rows += 1
            if verb == "fill":
                print(" | ".join((name, text, zone, start, found)))
            elif [found] != expected:
                wrong += 1
                print(f"{line}\n    the oracle: {found}")
    if verb == "check":
        print(f"{rows} rows, {wrong} wrong")
        sys.exit(1 if wrong or rows < 200 else 0)


main()
