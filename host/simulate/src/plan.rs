use std::collections::BTreeSet;

/// The parts of a run that take place: all of them, or those left after shrinking.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// The script entries that take place, by number; `None` means all.
    pub(crate) happenings: Option<BTreeSet<usize>>,
    /// Whether messages are lost.
    pub(crate) loses: bool,
    /// Whether messages are duplicated.
    pub(crate) duplicates: bool,
    /// Whether messages and answers are delayed.
    pub(crate) delays: bool,
    /// Whether plugins and parties fail, stall and return nonsense.
    pub(crate) faults: bool,
    /// Whether loads, forecasts, risks and tiers change.
    pub(crate) moves: bool,
}

impl Plan {
    pub(crate) const fn whole() -> Self {
        Self {
            happenings: None,
            loses: true,
            duplicates: true,
            delays: true,
            faults: true,
            moves: true,
        }
    }

    pub(crate) fn has(&self, number: usize) -> bool {
        self.happenings.as_ref().is_none_or(|happenings| happenings.contains(&number))
    }

    /// The kinds of faults that can be switched off.
    pub(crate) fn switches(&mut self) -> [(&'static str, &mut bool); 5] {
        [
            ("loss", &mut self.loses),
            ("duplicates", &mut self.duplicates),
            ("delay", &mut self.delays),
            ("faults", &mut self.faults),
            ("changing loads", &mut self.moves),
        ]
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.happenings {
            Some(happenings) => {
                let names: Vec<String> = happenings.iter().map(|n| format!("h{n}")).collect();
                write!(f, "{}", names.join(", "))?;
            }
            None => f.write_str("everything in the script")?,
        }
        for (name, on) in self.clone().switches() {
            if *on {
                write!(f, "; {name}")?;
            }
        }
        Ok(())
    }
}
