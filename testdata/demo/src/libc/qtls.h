/* qtls.h: TLS connections and signatures, done by the SoC. ca NULL means: do not check the server. */
int qtls_connect(const char *host, int port, const char *ca, const void *key, int keylen);
int qtls_verify(const char *keyfile, const void *msg, int len, const void *sig, int siglen);
