//! The plane: everything requests share.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use glidepath_clock::Clock;
use jiff::Timestamp;

use crate::audit::Audit;
use crate::logs::LogSource;
use crate::registry::{Registry, Resource};
use crate::store::{Contents, Store, Stored};

/// What requests share: the objects, the served resources, the clock, the names not yet given out.
pub(crate) struct Plane {
    pub store: Store,
    pub registry: Registry,
    pub clock: Clock,
    pub audit: Audit,
    pub logs: RwLock<Option<Arc<dyn LogSource>>>,
    /// Who runs commands in containers.
    pub execs: crate::exec::Execs,
    pub allow_loopback_endpoints: bool,
    /// Signs service-account tokens.
    pub token_key: [u8; 32],
    /// Bearer tokens that are good for as long as the plane runs.
    pub static_tokens: Vec<(String, crate::call::User)>,
    random: Mutex<fastrand::Rng>,
}

impl Plane {
    pub fn new(store: Store, clock: Clock, seed: u64, allow_loopback_endpoints: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut token_key = [0; 32];
        random.fill(&mut token_key);
        Self {
            token_key,
            static_tokens: Vec::new(),
            store,
            registry: Registry::built_in(),
            clock,
            audit: Audit::default(),
            logs: RwLock::new(None),
            execs: RwLock::new(None),
            allow_loopback_endpoints,
            random: Mutex::new(random),
        }
    }

    fn with_random<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs `act` with random numbers of its own, so that what it draws does not move those of later requests.
    pub fn with_own_random<T>(&self, seed: u64, act: impl FnOnce() -> T) -> T {
        let lock = || self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = std::mem::replace(&mut *lock(), fastrand::Rng::with_seed(seed));
        let done = act();
        *lock() = kept;
        done
    }

    /// A version 4 UUID from the plane's seed.
    pub fn new_uid(&self) -> String {
        let bits = self.with_random(|random| random.u128(..));
        let bits = (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// The five characters that `generateName` appends, from Kubernetes' own alphabet.
    pub fn name_suffix(&self) -> String {
        const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
        self.with_random(|random| {
            (0..5).map(|_| char::from(ALPHABET[random.usize(..ALPHABET.len())])).collect()
        })
    }

    /// A number below `limit`.
    pub fn random_below(&self, limit: u64) -> u64 {
        self.with_random(|random| random.u64(..limit.max(1)))
    }

    /// The current time, in whole seconds, as objects carry it.
    pub fn timestamp(&self) -> String {
        format_seconds(self.clock.now())
    }

    /// Brings the served resources in line after a write to a CustomResourceDefinition.
    pub fn after_write(
        &self,
        contents: &mut Contents,
        resource: &Resource,
        stored: Option<&Stored>,
        name: &str,
    ) {
        if resource.is("apiextensions.k8s.io", "customresourcedefinitions") {
            let object = stored.map(Stored::object);
            crate::crd::follow(self, contents, object.as_ref(), name);
        } else if resource.is(crate::access::GROUP, "clusterroles") {
            crate::access::aggregate(contents);
        } else if resource.terminating && stored.is_none() {
            crate::crd::finish(self, contents, resource);
        }
    }
}

/// RFC 3339 in UTC without a fraction.
pub(crate) fn format_seconds(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
