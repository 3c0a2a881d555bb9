import CLibcrypto
import CLinux

/// The process's libcrypto, which libssh2 shares with us.
package enum Libcrypto {
    /// To be called once, before anything else: libcrypto has to find its memory functions set before it allocates.
    ///
    /// libssh2 makes and frees a context for every packet, which is thus no work of malloc's. And at exit libcrypto is left
    /// as it is: its own handler would take it apart under threads that still use it.
    package static func prepare() {
        CRYPTO_set_mem_functions(
            { size, _, _ in clinux_pool_allocate(size) },
            { memory, size, _, _ in clinux_pool_reallocate(memory, size) },
            { memory, _, _ in clinux_pool_free(memory) })
        OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil)
    }
}
