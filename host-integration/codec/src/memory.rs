/// The guest memory that values are lifted from. `'m` is how long it stays as it is: no guest runs meanwhile.
pub trait Source<'m> {
    /// Why a string could not be read.
    type Error;

    /// The whole memory. It is asked for only when some of the values are in memory.
    fn bytes(&self) -> &'m [u8];

    /// Whether the guest's strings are UTF-8. If not, they are read with [`Source::transcoded`].
    fn is_utf8(&self) -> bool;

    /// The text of a string that the guest holds in an encoding other than UTF-8.
    ///
    /// # Errors
    ///
    /// When `pointer` and `length` (in units of the encoding) are no such string.
    fn transcoded(&mut self, pointer: u32, length: u32) -> Result<String, Self::Error>;

    /// Takes a resource that the guest passes: the one at `index` of its table, of the type that
    /// has the number `resource` in the plan. `path` is where its value is: the number of the
    /// parameter or result, then the index in each list and tuple around it.
    ///
    /// The bytes of a handle need not be known yet: they are put in their place by [`Lifted::with_handles`].
    ///
    /// # Errors
    ///
    /// When the guest has no such resource.
    ///
    /// [`Lifted::with_handles`]: crate::Lifted::with_handles
    fn take(&mut self, resource: u32, index: u32, path: &[usize]) -> Result<Taken, Self::Error>;

    /// Is told which parameter or result it is, from 0, in which something is wrong. The error says
    /// what, and nothing is asked for after it. Unless it is implemented, no one wants to know.
    fn wrong(&mut self, _value: usize) {}
}

/// How a resource of a guest passes. The type of the plan does not say it: who knows the resource does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// By its handle, which has bytes in the encoding.
    Handle,
    /// At a path of its own.
    Stream,
}

/// The guest memory that values are lowered to.
pub trait Target {
    /// Why memory could not be had.
    type Error;

    /// The whole memory as it is now: an allocation may have made it grow or move. It is asked for
    /// only when some of the values are in memory.
    fn bytes(&mut self) -> &mut [u8];

    /// Asks the guest for `size` bytes, aligned to `align`, and returns their address.
    ///
    /// # Errors
    ///
    /// When the guest's allocator traps or there is none. What it answers may be anything: the caller checks it.
    fn allocate(&mut self, align: u32, size: usize) -> Result<usize, Self::Error>;

    /// Whether the guest's strings are UTF-8. If not, they are written with [`Target::transcode`].
    fn is_utf8(&self) -> bool;

    /// Writes a string into a guest whose strings are not UTF-8; returns its pointer and its length in units of that
    /// encoding.
    ///
    /// # Errors
    ///
    /// As [`Target::allocate`].
    fn transcode(&mut self, text: &str) -> Result<(u32, u32), Self::Error>;

    /// Gives the guest the next of the resources that the message holds, in the order in which a
    /// [`Checker`] finds them, and returns its index in the guest's table. `resource` is the number
    /// of its type in the plan.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not of that type.
    ///
    /// [`Checker`]: crate::Checker
    fn give(&mut self, resource: u32) -> Result<u32, Self::Error>;

    /// As [`Source::wrong`].
    fn wrong(&mut self, _value: usize) {}
}
