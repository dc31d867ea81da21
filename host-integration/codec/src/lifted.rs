//! What was lifted, until the bytes of its handles are known.

use std::convert::Infallible;

use crate::error::LiftError;
use crate::wire::{uleb128, MAX_LEB128};

/// What a resource counts of the limit beside its bytes, as the host keeps something of each.
pub(crate) const RESOURCE: usize = 256;

/// Values in the encoding, in which the bytes of handles are missing.
#[derive(Debug)]
pub struct Lifted {
    pub(crate) message: Vec<u8>,
    /// Where they belong, in bytes of `message`.
    pub(crate) places: Vec<usize>,
    /// What is left of [`Lift::limit`](crate::Lift::limit), without what the resources count.
    pub(crate) limit: usize,
}

impl Lifted {
    /// How many handles there are.
    pub fn handles(&self) -> usize {
        self.places.len()
    }

    /// The message, which is complete if there are no handles.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// As [`message`](Self::message).
    pub fn into_message(self) -> Vec<u8> {
        self.message
    }

    /// The message with `handles`, the bytes of each in the order in which they were [taken](crate::Source::take).
    ///
    /// # Errors
    ///
    /// [`LiftError::TooLarge`], and [`LiftError::Handles`] when there are more or less of them than were taken.
    pub fn with_handles(
        self,
        handles: &[impl AsRef<[u8]>],
    ) -> Result<Vec<u8>, LiftError<Infallible>> {
        if handles.len() != self.places.len() {
            return Err(LiftError::Handles);
        }
        let lengths = handles.iter().map(|handle| handle.as_ref().len());
        let bytes = lengths.fold(self.message.len(), usize::saturating_add);
        if bytes > self.limit {
            let limit = self.limit.saturating_add(RESOURCE * handles.len());
            return Err(LiftError::TooLarge { limit });
        }
        // From the end to the front, so that what is there already moves once, and no second message is made.
        let mut message = self.message;
        let mut from = message.len();
        let prefix = |handle: &[u8]| {
            let mut prefix = [0; MAX_LEB128];
            let length = uleb128(handle.len() as u64, &mut prefix);
            (prefix, length)
        };
        let prefixes = handles.iter().map(|handle| prefix(handle.as_ref()).1);
        let mut to = bytes + prefixes.sum::<usize>();
        message.resize(to, 0);
        for (handle, place) in handles.iter().zip(self.places).rev() {
            to -= from - place;
            message.copy_within(place..from, to);
            from = place;
            let handle = handle.as_ref();
            let (prefix, length) = prefix(handle);
            for part in [handle, &prefix[..length]] {
                to -= part.len();
                message[to..to + part.len()].copy_from_slice(part);
            }
        }
        Ok(message)
    }
}
