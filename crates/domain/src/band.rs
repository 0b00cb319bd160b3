//! Priority classes.

/// A priority class. A lower band still gets its share, see [`crate::fair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// Somebody waits in front of it.
    Interactive,
    /// Somebody waits for it today.
    Standard,
    /// Whenever there is room.
    Bulk,
}

impl Band {
    /// All bands, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Interactive, Self::Standard, Self::Bulk];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Standard => "standard",
            Self::Bulk => "bulk",
        }
    }

    /// The band of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|band| band.code() == code)
    }

    /// Its place in [`Self::ALL`].
    pub const fn rank(self) -> usize {
        self as usize
    }
}
