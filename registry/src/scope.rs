use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Identity of a connection, so that endpoints of two connections never meet.
///
/// Two scopes are the same when they were made from clones of one [`Arc`], whatever it holds: two hosts in one
/// process that use the same lattice name on different servers have two connections, and so two scopes.
///
/// A scope keeps its allocation alive. As long as something is registered under it, no other allocation can
/// have the same address and be taken for it.
#[derive(Clone)]
pub struct Scope(Arc<dyn Any + Send + Sync>);

impl Scope {
    /// The scope of whoever holds a clone of `connection`.
    pub fn new<T: Any + Send + Sync>(connection: Arc<T>) -> Self {
        Self(connection)
    }

    /// What tells this scope from others. It means something only while the scope is held, or
    /// something is registered under it.
    pub fn id(&self) -> ScopeId {
        ScopeId(Arc::as_ptr(&self.0).cast::<()>() as usize)
    }
}

impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Scope {}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:#x})", self.id().0)
    }
}

/// The address that stands for a scope in keys. See [`Scope::id`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeId(usize);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_one_connection_are_one_scope() {
        let connection = Arc::new(());
        let scope = Scope::new(Arc::clone(&connection));
        assert_eq!(scope, Scope::new(Arc::clone(&connection)));
    }

    #[test]
    fn two_connections_are_two_scopes_even_when_they_hold_nothing() {
        assert_ne!(Scope::new(Arc::new(())), Scope::new(Arc::new(())));
    }
}
