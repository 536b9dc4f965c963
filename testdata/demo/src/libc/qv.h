/* qv.h: what the demo camera's programs need from its C library; stands for <stdio.h>, <sys/socket.h> and so on. */
#ifndef QV_H
#define QV_H
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef __SIZE_TYPE__ size_t;
typedef long ssize_t;
#define NULL ((void *)0)

#define O_RDONLY 0
#define O_WRONLY 1
#define O_RDWR 2
#define O_TRUNC 0x200
#define AF_UNIX 1
#define AF_INET 2
#ifdef __mips__
#define O_CREAT 0x100
#define O_APPEND 8
#define SOCK_DGRAM 1
#define SOCK_STREAM 2
#define SOCK_RAW 3
#define SOL_SOCKET 0xffff
#define SO_REUSEADDR 4
#define SO_BROADCAST 0x20
#define _IOC(d, t, n, s) (((d) << 29) | ((t) << 8) | (n) | ((s) << 16))
#define IOC_R 2
#define IOC_W 4
#else
#define O_CREAT 0x40
#define O_APPEND 0x400
#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
#define SOL_SOCKET 1
#define SO_REUSEADDR 2
#define SO_BROADCAST 6
#define _IOC(d, t, n, s) (((d) << 30) | ((t) << 8) | (n) | ((s) << 16))
#define IOC_R 2
#define IOC_W 1
#endif
#define _IOWR(t, n, ty) _IOC(IOC_R | IOC_W, t, n, sizeof(ty))
#define _IOW(t, n, ty) _IOC(IOC_W, t, n, sizeof(ty))
#define _IOR(t, n, ty) _IOC(IOC_R, t, n, sizeof(ty))

struct sockaddr_in { u16 sin_family; u16 sin_port; u32 sin_addr; char sin_zero[8]; };
struct sockaddr_un { u16 sun_family; char sun_path[108]; };
struct timespec { long tv_sec, tv_nsec; };
struct hostent { char *h_name, **h_aliases; int h_addrtype, h_length; char **h_addr_list; };

extern char **environ;
extern int errno;

/* strings */
size_t strlen(const char *); int strcmp(const char *, const char *); int strncmp(const char *, const char *, size_t);
int strcasecmp(const char *, const char *);
char *strcpy(char *, const char *); char *strncpy(char *, const char *, size_t); char *strcat(char *, const char *);
char *strchr(const char *, int); char *strrchr(const char *, int); char *strstr(const char *, const char *);
char *strtok(char *, const char *); char *strdup(const char *);
void *memcpy(void *, const void *, size_t); void *memmove(void *, const void *, size_t); void *memset(void *, int, size_t);
int memcmp(const void *, const void *, size_t);
int atoi(const char *); long strtol(const char *, char **, int);
int snprintf(char *, size_t, const char *, ...); int vsnprintf(char *, size_t, const char *, __builtin_va_list);
int printf(const char *, ...); int dprintf(int, const char *, ...); int puts(const char *);
void *malloc(size_t); void free(void *);
/* files and processes */
int open(const char *, int, ...); int close(int); ssize_t read(int, void *, size_t); ssize_t write(int, const void *, size_t);
long lseek(int, long, int); int ioctl(int, unsigned long, ...); int unlink(const char *); int mkdir(const char *, int);
int rename(const char *, const char *); int symlink(const char *, const char *); int chmod(const char *, int); int dup2(int, int);
int mount(const char *, const char *, const char *, unsigned long, const void *); int reboot(int);
int fork(void); int execve(const char *, char *const *, char *const *); int execv(const char *, char *const *);
int execvp(const char *, char *const *); int waitpid(int, int *, int); int system(const char *); int setsid(void);
void _exit(int) __attribute__((noreturn)); void exit(int) __attribute__((noreturn));
int getpid(void); int getuid(void); int setuid(int); int setgid(int); int kill(int, int); unsigned sleep(unsigned);
int sethostname(const char *, size_t); long time(long *); int getdents64(int, void *, size_t);
char *getenv(const char *); int setenv(const char *, const char *, int);
int daemon(int, int);
/* network */
int socket(int, int, int); int bind(int, const void *, int); int listen(int, int); int accept(int, void *, int *);
int connect(int, const void *, int); ssize_t send(int, const void *, size_t, int); ssize_t recv(int, void *, size_t, int);
ssize_t sendto(int, const void *, size_t, int, const void *, int); ssize_t recvfrom(int, void *, size_t, int, void *, int *);
int setsockopt(int, int, int, const void *, int);
u16 htons(u16); u32 htonl(u32); u32 inet_addr(const char *); struct hostent *gethostbyname(const char *);
/* accounts and settings */
char *crypt(const char *, const char *); int shadow_hash(const char *, char *, size_t); int shadow_check(const char *, const char *);
int nvram_get(const char *, char *, size_t); int nvram_set(const char *, const char *); int conf_get(const char *, const char *, char *, size_t);
int read_file(const char *, char *, size_t);
#endif
