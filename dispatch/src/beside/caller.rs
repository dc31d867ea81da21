//! The caller of a local call, as its callee sees it.
//!
//! A callee has the stream that it writes its results to, and knows nothing of its type but that it is one. This finds
//! out whether it belongs to a local call, and if so, who waits at the other end of it.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::TypeTable;
use crate::ambient::Types;
use crate::backend::Backend;
use crate::call::{in_one_line, Call, Outgoing};

/// The caller of a local call.
///
/// Over a remote transport there is no such thing: it has no way to tell a caller why its call failed, nor to learn
/// that it has gone.
#[derive(Clone)]
pub struct Caller(Arc<dyn OtherSide>);

impl Caller {
    /// Who waits for what is written to `results`.
    ///
    /// `None` when it is not the stream of a local call, or one of a [`Dispatcher`](crate::Dispatcher) that has served
    /// nothing yet.
    pub fn of<W: Any>(results: &W) -> Option<Self> {
        KNOWN.get::<W>()?(results)
    }

    /// The types that the caller takes the function to have, if it said so; see [`with_types`](crate::with_types).
    pub fn types(&self) -> Option<Types> {
        self.0.types()
    }

    /// Says that the callee has checked the call and will run it when its turn comes.
    ///
    /// When the streams of the call are dropped after this and before [`Caller::started`], the
    /// function has not run, and the caller is told so:
    /// [`CallError::NotAccepted`](crate::CallError::NotAccepted).
    pub fn admitted(&self) {
        self.0.admitted();
    }

    /// Says that the function starts to run. From here on, its failure is
    /// [`CallError::CalleeFailed`](crate::CallError::CalleeFailed).
    pub fn started(&self) {
        self.0.started();
    }

    /// Says, after [`Caller::started`], that the function did not run after all, because of `cause`
    /// and its sources: its side has no room for the call. The caller gets
    /// [`CallError::NoRoom`](crate::CallError::NoRoom) with them. No code of the function may have
    /// run.
    pub fn refused(&self, cause: &(dyn Error + 'static)) {
        self.0.refused(in_one_line(cause).into());
    }

    /// Whether no one waits for the call any more; see [`Caller::gone`].
    pub fn has_gone(&self) -> bool {
        self.0.has_gone()
    }

    /// Waits until no one waits for the call any more: the caller has dropped its streams before the results were
    /// complete.
    ///
    /// A caller that has finished its parameters and has never asked for results does not count as gone: it wants the
    /// function to run, and nothing else.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub async fn gone(&self) {
        self.0.gone().await;
    }

    /// Whether a stream of the parameters has broken off: the caller went before it had sent all of
    /// them. To be asked once the caller is [gone](Self::gone).
    pub fn broke_off(&self) -> bool {
        self.0.broke_off()
    }

    /// Hands over the results, or what is left of them, in one piece: nothing is copied, and no
    /// limit of a stream makes the callee wait. The caller gets them after what was written to the
    /// result stream before, once that is shut down.
    ///
    /// # Errors
    ///
    /// [`CallError::ReaderGone`](crate::CallError::ReaderGone) in an [`io::Error`] of kind `BrokenPipe` when the caller
    /// reads no results any more.
    pub fn answer(&self, results: Bytes) -> io::Result<()> {
        self.0.answer(results)
    }

    /// As [`Caller::answer`], and says that `results` are all of them, and of the types `types`: of
    /// that very value. A caller that gave the same need not check them; see
    /// [`Reader::is_whole`](crate::Reader::is_whole).
    ///
    /// # Errors
    ///
    /// As [`Caller::answer`].
    pub fn answer_whole(&self, results: Bytes, types: &(dyn Any + Send + Sync)) -> io::Result<()> {
        self.0.answer_is_whole(types);
        self.0.answer(results)
    }

    /// Says why the results will not be finished. When the callee's result stream is dropped without `shutdown`, the
    /// caller gets what `cause` and its sources say in [`CallError::CalleeFailed`](crate::CallError::CalleeFailed).
    ///
    /// Not the errors themselves: what befell a call that the callee made is not what befell the call of it.
    ///
    /// Only the first cause of a call counts.
    pub fn failed(&self, cause: &(dyn Error + 'static)) {
        self.0.failed(in_one_line(cause).into());
    }

    /// As [`Caller::failed`], of a callee that is ended from outside, before it has read its
    /// parameters. Whoever writes them gets [`CallError::CalleeFailed`](crate::CallError::CalleeFailed)
    /// too, where it is told otherwise that nobody reads them any more, which it may take for the
    /// wish of the callee.
    ///
    /// To be called before the callee's streams are dropped.
    pub fn cut_off(&self, cause: &(dyn Error + 'static)) {
        self.0.cut_off(in_one_line(cause).into());
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").finish_non_exhaustive()
    }
}

/// [`Call`], without the backend in its type.
trait OtherSide: Send + Sync {
    fn types(&self) -> Option<Types>;
    fn admitted(&self);
    fn started(&self);
    fn refused(&self, cause: Arc<str>);
    fn has_gone(&self) -> bool;
    fn gone(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
    fn broke_off(&self) -> bool;
    fn answer_is_whole(&self, types: &(dyn Any + Send + Sync));
    fn answer(&self, results: Bytes) -> io::Result<()>;
    fn failed(&self, cause: Arc<str>);
    fn cut_off(&self, cause: Arc<str>);
}

impl<B: Backend> OtherSide for Call<B> {
    fn types(&self) -> Option<Types> {
        self.caller_types().cloned()
    }

    fn admitted(&self) {
        Self::admitted(self);
    }

    fn started(&self) {
        Self::started(self);
    }

    fn refused(&self, cause: Arc<str>) {
        Self::refused(self, cause);
    }

    fn has_gone(&self) -> bool {
        self.caller_gone()
    }

    fn gone(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.until_caller_gone())
    }

    fn broke_off(&self) -> bool {
        self.params_broke_off()
    }

    fn answer_is_whole(&self, types: &(dyn Any + Send + Sync)) {
        Self::answer_is_whole(self, types);
    }

    fn answer(&self, results: Bytes) -> io::Result<()> {
        self.set_answer(results)
    }

    fn failed(&self, cause: Arc<str>) {
        self.set_cause(cause);
    }

    fn cut_off(&self, cause: Arc<str>) {
        Self::cut_off(self, cause);
    }
}

/// The types of result streams that have callers.
static KNOWN: TypeTable<fn(&dyn Any) -> Option<Caller>> = TypeTable::new();

/// Makes [`Caller::of`] know the streams of a type of dispatcher.
pub(super) fn know<B: Backend, R: Any>() {
    KNOWN.add::<Outgoing<B, R>>(|results| {
        let results = results.downcast_ref::<Outgoing<B, R>>()?;
        Some(Caller(results.call()?))
    });
}
