use inhost_dispatch::Caller;

/// Who calls an export, as it is seen there: the streams of the call, and the caller itself if it is on this host.
pub(crate) struct Peer<'a, I, O> {
    pub(crate) params: &'a mut I,
    pub(crate) results: &'a mut O,
    /// Whoever has the streams first asks for it, and no one after that.
    pub(crate) caller: Option<&'a Caller>,
}
