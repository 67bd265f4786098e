// SPDX-License-Identifier: GPL-2.0
/*
 * A live patch of a function in which calls sleep: reads of an eventfd fail.
 */
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static ssize_t patched_eventfd_read(struct kiocb *iocb, struct iov_iter *to)
{
	return -ENOANO;
}

static struct klp_func funcs[] = {
	{
		.old_name = "eventfd_read",
		.new_func = patched_eventfd_read,
	}, { }
};

static struct klp_object objs[] = {
	{
		.funcs = funcs,
	}, { }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init asys_livepatch_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit asys_livepatch_exit(void)
{
}

module_init(asys_livepatch_init);
module_exit(asys_livepatch_exit);
MODULE_DESCRIPTION("Test of live patching with asynchronous system calls");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");
