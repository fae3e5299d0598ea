// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: hold up who calls a function. He waits with
 * interrupts disabled, or as good as that; so what the test does meanwhile must
 * not need all CPUs.
 */
#include <linux/delay.h>
#include <linux/processor.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#include "zcp_pause.h"

#ifdef CONFIG_KPROBES

enum { OFF, ARMED, PAUSED, GO };

/**
 * struct zpoint - An open device
 * @at: Where.
 * @probe: The probe.
 * @set: It is registered.
 * @skip: How many pass before one pauses.
 * @state: OFF to GO.
 * @late: Somebody went on by himself.
 */
struct zpoint {
	struct zpause at;
	struct kprobe probe;
	bool set;
	atomic_t skip;
	atomic_t state;
	bool late;
};

static bool zpoint_is_meant(struct zpoint *point, struct pt_regs *regs)
{
	char name[KSYM_SYMBOL_LEN];

	if (atomic_read(&point->state) != ARMED || !in_task())
		return false;
	if (point->at.flags & ZPAUSE_WORKER && !(current->flags & PF_WQ_WORKER))
		return false;
	/* At its beginning the address to return to is on top of the stack. */
	sprint_symbol(name, regs_get_kernel_stack_nth(regs, 0));
	return strstr(name, point->at.caller);
}

static void zpoint_pause(struct zpoint *point)
{
	u64 until;

	if (atomic_dec_return(&point->skip) >= 0 ||
	    atomic_cmpxchg(&point->state, ARMED, PAUSED) != ARMED)
		return;
	until = ktime_get_mono_fast_ns() + (u64)point->at.max_ms * NSEC_PER_MSEC;
	while (atomic_read(&point->state) == PAUSED) {
		if (ktime_get_mono_fast_ns() > until) {
			WRITE_ONCE(point->late, true);
			atomic_set(&point->state, OFF);
			break;
		}
		cpu_relax();
	}
}

static int zpoint_entry(struct kprobe *probe, struct pt_regs *regs)
{
	struct zpoint *point = container_of(probe, struct zpoint, probe);

	if (zpoint_is_meant(point, regs))
		zpoint_pause(point);
	return 0;
}

static int zpoint_set(struct zpoint *point, const struct zpause __user *arg)
{
	int ret;

	if (point->set)
		return -EBUSY;
	if (copy_from_user(&point->at, arg, sizeof(point->at)))
		return -EFAULT;
	point->at.symbol[sizeof(point->at.symbol) - 1] = '\0';
	point->at.caller[sizeof(point->at.caller) - 1] = '\0';
	point->probe.symbol_name = point->at.symbol;
	point->probe.pre_handler = zpoint_entry;
	ret = register_kprobe(&point->probe);
	point->set = !ret;
	return ret;
}

static int zpoint_wait(struct zpoint *point, u32 ms)
{
	for (; atomic_read(&point->state) != PAUSED; ms--) {
		if (!ms)
			return -ETIMEDOUT;
		/* Not by jiffies, which may be the other CPU's business. */
		usleep_range(900, 1000);
	}
	return 0;
}

static long zpoint_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct zpoint *point = file->private_data;
	u32 nr = 0;

	if (cmd == ZPAUSE_ARM || cmd == ZPAUSE_WAIT) {
		if (copy_from_user(&nr, (void __user *)arg, sizeof(nr)))
			return -EFAULT;
	}
	switch (cmd) {
	case ZPAUSE_AT:
		return zpoint_set(point, (void __user *)arg);
	case ZPAUSE_ARM:
		WRITE_ONCE(point->late, false);
		atomic_set(&point->skip, nr);
		atomic_set(&point->state, ARMED);
		return 0;
	case ZPAUSE_WAIT:
		return zpoint_wait(point, nr);
	case ZPAUSE_GO:
		atomic_set(&point->state, GO);
		return READ_ONCE(point->late) ? -ETIMEDOUT : 0;
	default:
		return -ENOTTY;
	}
}

static int zpoint_open(struct inode *inode, struct file *file)
{
	struct zpoint *point = kzalloc(sizeof(*point), GFP_KERNEL);

	file->private_data = point;
	return point ? 0 : -ENOMEM;
}

static int zpoint_release(struct inode *inode, struct file *file)
{
	struct zpoint *point = file->private_data;

	atomic_set(&point->state, GO);
	if (point->set)
		unregister_kprobe(&point->probe);
	kfree(point);
	return 0;
}

#else

static long zpoint_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return -EOPNOTSUPP;
}

static int zpoint_open(struct inode *inode, struct file *file)
{
	return 0;
}

static int zpoint_release(struct inode *inode, struct file *file)
{
	return 0;
}

#endif

static const struct file_operations zpause_fops = {
	.owner = THIS_MODULE,
	.open = zpoint_open,
	.release = zpoint_release,
	.unlocked_ioctl = zpoint_ioctl,
};

static struct miscdevice zpause_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "zcp_pause",
	.fops = &zpause_fops,
	.mode = 0600,
};

module_misc_device(zpause_dev);
MODULE_DESCRIPTION("Tests of zcp: orders of steps");
MODULE_LICENSE("GPL");
