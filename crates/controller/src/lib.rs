//! The glidepath program: controller, sandbox and demo.
