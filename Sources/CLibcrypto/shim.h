#ifndef CLIBCRYPTO_SHIM_H
#define CLIBCRYPTO_SHIM_H

// HMAC keeps SHA256_CTX/SHA512_CTX states: EVP_MAC allocates twice per packet and takes 250 ns more of each.
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

// The 16-byte tag of an AEAD. EVP_CIPHER_CTX_ctrl would do the same with 30 ns more of looking parameters up.
static inline int CLibcrypto_getTag(EVP_CIPHER_CTX *context, void *tag) {
    OSSL_PARAM parameters[] = {{OSSL_CIPHER_PARAM_AEAD_TAG, OSSL_PARAM_OCTET_STRING, tag, 16, 0}, OSSL_PARAM_END};
    return EVP_CIPHER_CTX_get_params(context, parameters);
}

static inline int CLibcrypto_setTag(EVP_CIPHER_CTX *context, const void *tag) {
    OSSL_PARAM parameters[] = {{OSSL_CIPHER_PARAM_AEAD_TAG, OSSL_PARAM_OCTET_STRING, (void *)tag, 16, 0}, OSSL_PARAM_END};
    return EVP_CIPHER_CTX_set_params(context, parameters);
}

#endif
