//! Traffic routers as pure functions: read the weights an object carries, render the object that carries others.
