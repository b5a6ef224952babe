use std::collections::BTreeSet;

/// What of a run takes place: all of it, or what is left after shrinking.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The negotiations by number; all where none.
    pub(crate) wishes: Option<BTreeSet<usize>>,
    /// The steps at which a crash that is due takes place; all where none.
    pub(crate) crash_steps: Option<BTreeSet<u64>>,
    pub(crate) reclaims: bool,
    pub(crate) loses: bool,
    pub(crate) duplicates: bool,
    pub(crate) delays: bool,
}

impl Plan {
    pub(crate) const fn whole() -> Self {
        let (wishes, crash_steps) = (None, None);
        Self { wishes, crash_steps, reclaims: true, loses: true, duplicates: true, delays: true }
    }

    pub(crate) fn wants(&self, number: usize) -> bool {
        self.wishes.as_ref().is_none_or(|wishes| wishes.contains(&number))
    }

    pub(crate) fn crashes(&self, step: u64) -> bool {
        self.crash_steps.as_ref().is_none_or(|steps| steps.contains(&step))
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.wishes {
            Some(wishes) => {
                let names: Vec<String> = wishes.iter().map(|n| format!("n{n}")).collect();
                write!(f, "{}", names.join(", "))?;
            }
            None => f.write_str("all negotiations")?,
        }
        let faults = [
            ("reclaims", self.reclaims),
            ("loss", self.loses),
            ("duplicates", self.duplicates),
            ("delay", self.delays),
        ];
        for (name, on) in faults {
            if on {
                write!(f, "; {name}")?;
            }
        }
        match &self.crash_steps {
            Some(steps) if steps.is_empty() => Ok(()),
            Some(steps) => write!(f, "; crashes at steps {steps:?}"),
            None => f.write_str("; crashes"),
        }
    }
}
