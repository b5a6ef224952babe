use std::collections::BTreeSet;

/// What of a run takes place: all of it, or what is left after shrinking.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// What happens, by its number in the script; all where none.
    pub(crate) happenings: Option<BTreeSet<usize>>,
    /// Whether messages get lost.
    pub(crate) loses: bool,
    /// Whether messages arrive twice.
    pub(crate) duplicates: bool,
    /// Whether messages and answers take time.
    pub(crate) delays: bool,
    /// Whether plugins and parties fail, stall and talk nonsense.
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

    /// Every kind of trouble that can be left out.
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
