//! What a plugin says of itself is kept, listed and shown: it has bounds.

use crate::{configuration, error::LoadError, metadata::Description};

/// The most bytes of a name and of a version.
const NAME: usize = 256;
/// Of a summary.
const SUMMARY: usize = 4 << 10;

pub(crate) fn check(description: &Description) -> Result<(), LoadError> {
    let Description { name, version, summary, configuration_schema } = description;
    for (what, text, most) in [
        ("name", name, NAME),
        ("version", version, NAME),
        ("summary", summary, SUMMARY),
        ("configuration-schema", configuration_schema, configuration::MOST_BYTES),
    ] {
        if text.len() > most {
            let bytes = text.len();
            return Err(LoadError::Description(format!(
                "has a {what} of {bytes} bytes, and it may have {most}: shorten it"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::metadata::Description;

    #[test]
    fn every_text_is_bounded() {
        let of = |bytes: [usize; 4]| {
            let [name, version, summary, configuration_schema] = bytes.map(|bytes| "x".repeat(bytes));
            check(&Description { name, version, summary, configuration_schema })
        };
        let most = [256, 256, 4096, 65536];
        assert!(of(most).is_ok());
        for (i, what) in ["name", "version", "summary", "configuration-schema"].iter().enumerate() {
            let mut more = most;
            more[i] += 1;
            let error = of(more).unwrap_err().to_string();
            assert!(error.contains(&format!("a {what} of {} bytes", most[i] + 1)), "{error}");
        }
    }
}
