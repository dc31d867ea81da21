use std::task::Waker;

/// What is kept of a function while it is served, whichever generation of its component serves it.
///
/// A [`Registry`](crate::Registry) says whose turn it is to read the invocations of the function.
/// It calls these methods one at a time, and all but [`release`](Self::release) while it holds a
/// lock: they must neither wait, nor wake, nor call the registry.
pub trait Function {
    /// From here on no one reads. What comes is kept for the next one. Whoever has read up to now
    /// does not get another turn: returns its waker, if it waits, to be dropped.
    fn pause(&self) -> Option<Waker>;

    /// From here on `reader` reads. Returns how to wake it, if it waits for its turn.
    fn give(&self, reader: u64) -> Option<Waker>;

    /// No one is expected to read any more, and nothing from elsewhere is to arrive after this.
    /// Does nothing if someone reads.
    fn release(&self);

    /// No one reads any more: from here on, what comes is refused. Returns what no one is going to read.
    fn close(&self) -> impl Sized;
}

/// Nothing is kept: the registry just says what is served.
impl Function for () {
    fn pause(&self) -> Option<Waker> {
        None
    }

    fn give(&self, _reader: u64) -> Option<Waker> {
        None
    }

    fn release(&self) {}

    fn close(&self) -> impl Sized {}
}
