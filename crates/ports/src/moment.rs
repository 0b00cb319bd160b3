//! Moments as users see them: RFC 3339, in UTC.

use retouch_domain::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// A moment as text. One that no calendar has is the text of the nearest.
pub fn text(moment: Timestamp) -> String {
    let nanos = i128::from(moment.micros()) * 1000;
    let moment = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    moment.format(&Rfc3339).unwrap_or_default()
}

/// The moment that a text names; `None` if it names none.
pub fn parse(text: &str) -> Option<Timestamp> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1000).ok().map(Timestamp::from_micros)
}

/// The beginning of a moment's day, in UTC.
pub fn day_of(moment: Timestamp) -> Timestamp {
    Timestamp::from_micros(moment.micros() - moment.micros().rem_euclid(DAY_MICROS))
}

/// A day's beginning as the day's text.
pub fn day_text(day: Timestamp) -> String {
    text(day).split('T').next().unwrap_or_default().to_owned()
}

/// The beginning of the day that a text names; `None` if it names none.
pub fn parse_day(text: &str) -> Option<Timestamp> {
    parse(&format!("{text}T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_read_as_they_are_written() {
        let moment = Timestamp::from_micros(1_767_225_600_123_456);
        let day = day_of(moment);
        assert_eq!((day_text(day).as_str(), parse_day("2026-01-01")), ("2026-01-01", Some(day)));
        assert_eq!(day_of(Timestamp::from_micros(-1)), parse_day("1969-12-31").unwrap());
        for bad in ["", "2026-1-1", "2026-02-30", "2026-01-01T00:00:00Z", "01.01.2026"] {
            assert_eq!(parse_day(bad), None, "{bad}");
        }
    }

    #[test]
    fn moments_are_read_as_they_are_written() {
        let moment = Timestamp::from_micros(1_767_225_600_123_456);
        assert_eq!(text(moment), "2026-01-01T00:00:00.123456Z");
        assert_eq!(parse(&text(moment)), Some(moment));
        assert_eq!(parse("2026-01-01T07:00:00+07:00"), parse("2026-01-01T00:00:00Z"));
        for bad in ["", "yesterday", "2026-01-01", "1767225600"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
