use std::{fmt, str::FromStr};

use haggle_model::concise;
use jiff::tz::{Offset, TimeZone};

use crate::Limits;

/// How to read a file of series. The default recognises everything by itself.
#[derive(Clone, Debug, Default)]
pub struct FileOptions {
    /// The limits of the file.
    pub limits: Limits,
    /// The layout; `None` recognises it.
    pub layout: Option<Layout>,
    /// The header of the time column, or its number, from 1; `None` recognises it.
    pub time: Option<String>,
    /// The zone of times without an offset; `None` means UTC.
    pub zone: Option<Zone>,
    /// What the values are.
    pub readings: Readings,
}

/// The layout of a file of series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A series per column, with a time column.
    Columns,
    /// A series per row, without times: `id,value,value,...`.
    Rows,
    /// A value per row: the id of its series, its time and the value.
    Long,
}

/// What the values of a file are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readings {
    /// Levels or rates. A series that looks like a counter is refused.
    #[default]
    Checked,
    /// Levels or rates, even where they look like a counter.
    Level,
    /// Counters that only grow. They are turned into rates per second, or per step in the layout
    /// [`Layout::Rows`].
    Counter,
}

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(pub(crate) TimeZone);

/// The reason why a text is not a time zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a time zone: use a name of the IANA database such as Europe/Berlin, UTC, or an offset such as +02:00"
)]
pub struct InvalidZone(String);

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        let invalid = || InvalidZone(concise(text));
        if let Some(offset) = offset(text) {
            return Ok(Self(TimeZone::fixed(offset)));
        }
        TimeZone::get(text).map(Self).map_err(|_| invalid())
    }
}

/// Parses an offset such as +02:00.
fn offset(text: &str) -> Option<Offset> {
    let negative = text.starts_with('-');
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    let two = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok())?;
    let (hours, minutes) = (i32::from(two(hours)?), i32::from(two(minutes)?));
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = hours * 3600 + minutes * 60;
    Offset::from_seconds(if negative { -seconds } else { seconds }).ok()
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "columns" => Ok(Self::Columns),
            "rows" => Ok(Self::Rows),
            "long" => Ok(Self::Long),
            _ => Err("use columns (a series per column), rows (a series per row) or long (id, time and value per row)".to_owned()),
        }
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Columns => "columns",
            Self::Rows => "rows",
            Self::Long => "long",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Zone};

    #[test]
    fn a_zone_is_a_name_or_an_offset() {
        for text in ["UTC", "Europe/Berlin", "America/New_York", "+02:00", "-03:30"] {
            assert!(text.parse::<Zone>().is_ok(), "{text}");
        }
        for text in ["", "Berlin", "CESTX", "+25:00", "+2", "+02:60"] {
            let error = text.parse::<Zone>().unwrap_err().to_string();
            assert!(error.contains("such as Europe/Berlin"), "{text}: {error}");
        }
    }

    #[test]
    fn a_layout_reads_back() {
        for layout in [Layout::Columns, Layout::Rows, Layout::Long] {
            assert_eq!(layout.to_string().parse(), Ok(layout));
        }
        assert!("wide".parse::<Layout>().unwrap_err().contains("columns"));
    }
}
