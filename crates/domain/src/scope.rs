//! What an API key allows.

/// What the holder of a key may do. Each scope includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Look.
    Read,
    /// Submit, cancel, retry, delete.
    Write,
    /// Make and revoke keys of the tenant.
    Admin,
}

impl Scope {
    /// All scopes, the narrowest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Admin];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The scope of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.code() == code)
    }

    /// Whether a key of this scope may do what needs `needed`.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_the_narrower_ones() {
        for (place, scope) in Scope::ALL.into_iter().enumerate() {
            assert_eq!(Scope::from_code(scope.code()), Some(scope));
            for (other_place, other) in Scope::ALL.into_iter().enumerate() {
                assert_eq!(scope.allows(other), place >= other_place, "{scope:?} {other:?}");
            }
        }
        assert_eq!(Scope::from_code("root"), None);
    }
}
